// The API against what Toxiproxy 2.12.0 and its client said to each other (testing/toxiproxy-2.12.0.jsonl).
#include <fstream>

#include "bench/proxy/testing/proxy_fixture.h"
#include "gmock/gmock.h"
#include "services/runtime/base/random.h"

namespace lab::proxy {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string Replace(std::string text, const std::string& what, const std::string& by) {
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

// As parsed JSON where it is some, without "Logger", which a proxy of Toxiproxy shows by an oversight.
json Comparable(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  if (value.is_discarded()) return text;
  std::function<void(json&)> strip = [&](json& each) {
    if (each.is_object()) each.erase("Logger");
    if (each.is_structured()) {
      for (json& inner : each) strip(inner);
    }
  };
  strip(value);
  return value;
}

TEST_F(ApiTest, AnswersAsToxiproxyDid) {
  std::ifstream transcript(TRANSCRIPT);
  ASSERT_TRUE(transcript) << TRANSCRIPT;
  std::string port;
  {
    Listener free;
    port = std::to_string(free.port());
  }
  int requests = 0;
  for (std::string line; std::getline(transcript, line);) {
    const json step = json::parse(Replace(line, "{port}", port));
    for (const json& exchange : step["http"]) {
      SCOPED_TRACE(Concat(step["command"].get<std::string>(), ": ", exchange["method"].get<std::string>(), " ",
                          exchange["path"].get<std::string>(), " ", exchange["body"].get<std::string>()));
      const http::Response response = Ask(exchange["method"], exchange["path"], exchange["body"]);
      EXPECT_EQ(response.status, exchange["status"]);
      EXPECT_EQ(Comparable(response.body), Comparable(exchange["answer"].get<std::string>()));
      if (!response.body.empty()) {
        EXPECT_EQ(response.content_type, exchange["type"].get<std::string>());
      }
      ++requests;
    }
  }
  EXPECT_GT(requests, 100);
}

TEST_F(ApiTest, RefusesBrowsers) {
  EXPECT_EQ(Ask("GET", "/version", "", "Mozilla/5.0 (X11)").status, 403);
  EXPECT_EQ(Ask("GET", "/version", "", "curl/8").status, 200);
}

TEST_F(ApiTest, ListensOnLoopbackOnly) {
  for (const char* listen : {"0.0.0.0:0", "[::]:0", "192.0.2.1:80"}) {
    const http::Response made =
        Ask("POST", "/proxies", Concat(R"({"name":"n","upstream":"127.0.0.1:9","listen":")", listen, "\"}"));
    EXPECT_EQ(made.status, 500) << listen;
    EXPECT_THAT(made.body, HasSubstr("loopback")) << listen;
  }
  for (const char* listen : {"", ":0", "localhost:0", "127.0.0.3:0"}) {
    const http::Response made =
        Ask("POST", "/proxies", Concat(R"({"name":"n","upstream":"127.0.0.1:9","listen":")", listen, "\"}"));
    EXPECT_EQ(made.status, 201) << listen << made.body;
    EXPECT_THAT(made.body, HasSubstr("\"listen\":\"127.0.0.")) << listen;
    Ask("DELETE", "/proxies/n");
  }
}

TEST_F(ApiTest, NamesMayHaveAnyCharacter) {
  EXPECT_EQ(Ask("POST", "/proxies", R"({"name":"a->b \"c\"","upstream":"127.0.0.1:9"})").status, 201);
  EXPECT_EQ(Ask("GET", "/proxies/a->b \"c\"").status, 200);
  EXPECT_EQ(json::parse(Ask("GET", "/proxies").body).size(), 1u);
  EXPECT_THAT(Ask("GET", "/metrics").body, HasSubstr(R"(proxy="a->b \"c\"")"));
}

// Any bytes are a command or an error, and nothing else happens.
TEST_F(ApiTest, BearsAnyRequest) {
  Random random(5);
  const std::vector<std::string> paths = {"/proxies",
                                          "/proxies/a",
                                          "/proxies/a/toxics",
                                          "/proxies/a/toxics/t",
                                          "/populate",
                                          "/reset",
                                          "/version",
                                          "/",
                                          "//",
                                          "/proxies//toxics",
                                          ""};
  const std::vector<std::string> bodies = {
      R"({"name":"a","listen":"127.0.0.1:0","upstream":"127.0.0.1:9","enabled":true})",
      R"({"type":"latency","name":"t","stream":"upstream","toxicity":0.5,"attributes":{"latency":1,"jitter":2}})",
      R"([{"name":"a","upstream":"x:1"},null,7])",
      R"({"toxicity":1e999,"attributes":{"latency":99999999999999999999}})",
      std::string(5'000, '['),
      "{\"a\":\"\xff\xfe\"}",
      "nul",
      "\"",
      "-",
      "1e5"};
  for (int i = 0; i < 3'000; ++i) {
    std::string body = bodies[random.Below(bodies.size())];
    for (uint64_t cuts = random.Below(4); cuts > 0 && !body.empty(); --cuts) {
      body[random.Below(body.size())] = static_cast<char>(random.Below(256));
    }
    const char* method[] = {"GET", "POST", "PATCH", "DELETE", "PUT"};
    const std::string verb = method[random.Below(5)];
    const std::string& path = paths[random.Below(paths.size())];
    const std::variant<Command, ApiError> command = ParseCommand(verb, path, body);
    if (const auto* error = std::get_if<ApiError>(&command)) {
      EXPECT_TRUE(error->status == 400 || error->status == 404 || error->status == 405) << error->status;
    }
    for (const ToxicKind& kind : ToxicKinds()) ParseToxicUpdate(kind, body);
  }
}

TEST(ParseHostPortTest, TakesNamesAddressesAndEmptyHosts) {
  EXPECT_EQ(ParseHostPort("localhost:6379")->host, "localhost");
  EXPECT_EQ(ParseHostPort("[::1]:6379")->host, "::1");
  EXPECT_EQ(ParseHostPort(":6379")->port, 6379);
  for (const char* wrong : {"", "6379", "a:b", "::1:6379", "a:-1", "a:65536", "a:", "a:1x"}) {
    EXPECT_FALSE(ParseHostPort(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace lab::proxy
