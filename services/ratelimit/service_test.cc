// The whole service over real gRPC and HTTP: what is on the wire, bad input, rules that change, how it starts.

#include <gmock/gmock.h>
#include <grpcpp/support/byte_buffer.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "services/ratelimit/service_testing.h"
#include "services/runtime/redis/test_server.h"

namespace lab::ratelimit {
namespace {

using testing::HasSubstr;

TEST(ServiceTest, AnswersWithLimitRemainingResetAndFields) {
  ServiceUnderTest service(InMemory());
  ASSERT_TRUE(service.started.ok()) << service.started;
  RateLimitRequest request = Request("tenant", "1");
  *request.add_descriptors()->add_entries() = request.descriptors(0).entries(0);
  request.mutable_descriptors(1)->mutable_entries(0)->set_key("nobody");
  RateLimitResponse response;
  ASSERT_TRUE(service.Call(request, &response).ok());
  EXPECT_EQ(response.overall_code(), RateLimitResponse::OK);
  ASSERT_EQ(response.statuses_size(), 2);
  const auto& status = response.statuses(0);
  EXPECT_EQ(status.code(), RateLimitResponse::OK);
  EXPECT_EQ(status.current_limit().requests_per_unit(), 3u);
  EXPECT_EQ(status.current_limit().unit(), RateLimitResponse::RateLimit::DAY);
  EXPECT_EQ(status.current_limit().name(), "per-tenant");
  EXPECT_EQ(status.limit_remaining(), 2u);
  EXPECT_GT(status.duration_until_reset().seconds() + status.duration_until_reset().nanos(), 0);
  EXPECT_LE(status.duration_until_reset().seconds(), 86'400);
  EXPECT_EQ(response.statuses(1).code(), RateLimitResponse::OK);
  EXPECT_FALSE(response.statuses(1).has_current_limit());
  ASSERT_EQ(response.response_headers_to_add_size(), 2);
  EXPECT_EQ(response.response_headers_to_add(0).key(), "RateLimit-Policy");
  EXPECT_EQ(response.response_headers_to_add(0).value(), "\"per-tenant\";q=3;w=86400");
  EXPECT_EQ(response.response_headers_to_add(1).key(), "RateLimit");
  EXPECT_THAT(response.response_headers_to_add(1).value(), testing::MatchesRegex("\"per-tenant\";r=2;t=[0-9]+"));
  EXPECT_EQ(service.Admitted("tenant", "1", 5), 2);
  ASSERT_TRUE(service.Call(Request("tenant", "1"), &response).ok());
  EXPECT_EQ(response.overall_code(), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(response.statuses(0).code(), RateLimitResponse::OVER_LIMIT);
  ASSERT_EQ(response.response_headers_to_add_size(), 3);
  EXPECT_EQ(response.response_headers_to_add(2).key(), "Retry-After");
  EXPECT_GT(std::stoi(response.response_headers_to_add(2).value()), 0);
}

// Responses are reused: nothing of the last one may stay.
TEST(ServiceTest, AnAnswerHoldsNothingOfTheOneBefore) {
  ServiceUnderTest service(InMemory());
  RateLimitResponse response;
  RateLimitRequest large = Request("tenant", "1", 100);
  for (const char* key : {"deny", "local"}) *large.add_descriptors() = Request(key, "1").descriptors(0);
  ASSERT_TRUE(service.Call(large, &response).ok());
  ASSERT_EQ(response.statuses_size(), 3);
  ASSERT_EQ(response.response_headers_to_add_size(), 2) << "more hits than the limit: no wait helps";
  ASSERT_TRUE(service.Call(Request("nobody", "1"), &response).ok());
  RateLimitResponse bare;
  bare.set_overall_code(RateLimitResponse::OK);
  bare.add_statuses()->set_code(RateLimitResponse::OK);
  EXPECT_EQ(response.SerializeAsString(), bare.SerializeAsString());
  ASSERT_TRUE(service.Call(Request("odd", "1"), &response).ok());
  EXPECT_EQ(response.statuses(0).current_limit().name(), "");
}

TEST(ServiceTest, AWindowOutsideTheUnitsIsUnknownAndHasNoW) {
  ServiceUnderTest service(InMemory());
  RateLimitResponse response;
  ASSERT_TRUE(service.Call(Request("odd", "1"), &response).ok());
  EXPECT_EQ(response.statuses(0).current_limit().unit(), RateLimitResponse::RateLimit::UNKNOWN);
  EXPECT_EQ(response.response_headers_to_add(0).value(), "\"odd\";q=7");
}

TEST(ServiceTest, HeadersCanBeLeftOut) {
  Options options = InMemory();
  options.headers = false;
  ServiceUnderTest service(options);
  RateLimitResponse response;
  ASSERT_TRUE(service.Call(Request("tenant", "1"), &response).ok());
  EXPECT_EQ(response.response_headers_to_add_size(), 0);
}

// The bytes as another implementation of the public API writes and reads them, built by hand from its field numbers.
TEST(ServiceTest, SpeaksThePublicWireFormat) {
  const std::string no_headers =
      "domain: shop\ndescriptors: [{key: k, value: v, rate_limit: {unit: week, "
      "requests_per_unit: 300, name: n}}]\n";
  Options options = InMemory();
  options.headers = false;
  ServiceUnderTest service(options, no_headers);
  const std::string entry("\x0a\x01k\x12\x01v", 6);                                     // key = 1, value = 2
  const std::string descriptor = std::string("\x0a\x06") + entry + "\x1a\x02\x08\x05";  // entries = 1, hits_addend = 3
  const std::string wire =
      std::string("\x0a\x04shop\x12\x0c") + descriptor + "\x18\x02";  // domain 1, descriptors 2, hits 3
  const grpc::Slice slice(wire.data(), wire.size());
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  const grpc::Status status = service.client().Call(kMethod, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  grpc::Slice bytes;
  ASSERT_TRUE(response.DumpToSingleSlice(&bytes).ok());
  const std::string text(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  // overall_code 1 = OK; statuses 2: code 1 = OK, current_limit 2 {requests 1 = 300, unit 2 = WEEK 7, name 3 = "n"},
  // limit_remaining 3 = 295, duration_until_reset 4 {…}
  const std::string limit("\x12\x08\x08\xac\x02\x10\x07\x1a\x01n", 10);
  EXPECT_EQ(text.substr(0, 2), std::string("\x08\x01", 2));
  EXPECT_EQ(text[2], '\x12');
  EXPECT_EQ(text.substr(4, 2), std::string("\x08\x01", 2));
  EXPECT_EQ(text.substr(6, limit.size()), limit);
  EXPECT_EQ(text.substr(6 + limit.size(), 3), std::string("\x18\xa7\x02", 3));
  EXPECT_EQ(text[9 + limit.size()], '\x22');
}

TEST(ServiceTest, RefusesWhatIsNoQuestion) {
  ServiceUnderTest service(InMemory());
  RateLimitResponse response;
  const auto code = [&](const RateLimitRequest& request) { return service.Call(request, &response).error_code(); };
  RateLimitRequest request;
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_domain("shop");
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(service.Call(request, &response).error_message(), "descriptors must not be empty");

  RateLimitRequest many = Request("tenant", "1");
  for (int i = 0; i < 32; ++i) many.add_descriptors();
  EXPECT_EQ(code(many), grpc::StatusCode::RESOURCE_EXHAUSTED);
  RateLimitRequest deep = Request("tenant", "1");
  for (int i = 0; i < 16; ++i) deep.mutable_descriptors(0)->add_entries();
  EXPECT_EQ(code(deep), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(code(Request("tenant", std::string(5'000, 'x'))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(code(Request("tenant", std::string(100'000, 'x'))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  RateLimitRequest override_ = Request("tenant", "1");
  override_.mutable_descriptors(0)->mutable_limit()->set_requests_per_unit(1);
  EXPECT_EQ(code(override_), grpc::StatusCode::INVALID_ARGUMENT);

  const std::string bad_utf8("\x0a\x02\xff\xfe\x12\x00", 6);
  const grpc::Slice slice(bad_utf8.data(), bad_utf8.size());
  const grpc::ByteBuffer raw(&slice, 1);
  grpc::ByteBuffer answer;
  EXPECT_EQ(service.client().Call(kMethod, raw, &answer).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Request("tenant", "1")), grpc::StatusCode::OK) << "the connection goes on";
}

TEST(ServiceTest, CountsHitsOfTheRequestAndOfTheDescriptor) {
  ServiceUnderTest service(InMemory());
  EXPECT_EQ(service.Ask("tenant", "big", 4'294'967'295u), RateLimitResponse::OVER_LIMIT);
  EXPECT_EQ(service.Ask("tenant", "big", 3), RateLimitResponse::OK) << "the denied one must not have been charged";
  RateLimitRequest look = Request("tenant", "look", 3);
  look.mutable_descriptors(0)->mutable_hits_addend()->set_value(0);
  RateLimitResponse response;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(service.Call(look, &response).ok());
  EXPECT_EQ(response.statuses(0).limit_remaining(), 3u);
  look.mutable_descriptors(0)->mutable_hits_addend()->set_value(~uint64_t{0});
  ASSERT_TRUE(service.Call(look, &response).ok());
  EXPECT_EQ(response.overall_code(), RateLimitResponse::OVER_LIMIT);
}

TEST(ServiceTest, JsonAnswersWithTheStatusOfTheDecision) {
  ServiceUnderTest service(InMemory());
  const std::string body =
      R"({"domain":"shop","descriptors":[{"entries":[{"key":"tenant","value":"j"}]}],"hitsAddend":3})";
  const std::string first = Http(service.http_port(), "POST", "/json", body);
  EXPECT_THAT(first, HasSubstr("200 OK"));
  EXPECT_THAT(first, HasSubstr("\"overallCode\":\"OK\""));
  const std::string second = Http(service.http_port(), "POST", "/json", body);
  EXPECT_THAT(second, HasSubstr("429"));
  EXPECT_THAT(second, HasSubstr("Retry-After: "));
  EXPECT_THAT(second, HasSubstr("OVER_LIMIT"));
  for (const char* bad : {"", "{", "{\"domain\":1}", "{\"domain\":\"shop\"}", "{\"no\":\"such\"}"}) {
    const std::string answer = Http(service.http_port(), "POST", "/json", bad);
    EXPECT_THAT(answer, HasSubstr("400")) << bad;
    EXPECT_THAT(answer, HasSubstr("application/problem+json")) << bad;
  }
  EXPECT_THAT(Http(service.http_port(), "GET", "/debug/rules"), HasSubstr("shop  tenant  fixed_window  3 / "));
  EXPECT_THAT(Http(service.http_port(), "GET", "/debug/hot-keys"), HasSubstr("200 OK"));
}

TEST(ServiceTest, JsonThatIsTooLargeIsNoDecision) {
  ServiceUnderTest service(InMemory());
  const auto json = [](const std::string& value, int descriptors) {
    std::string list;
    for (int i = 0; i < descriptors; ++i) {
      list += R"({"entries":[{"key":"tenant","value":")" + value + R"("}]},)";
    }
    list.pop_back();
    return R"({"domain":"shop","descriptors":[)" + list + "]}";
  };
  const auto post = [&](const std::string& body) { return Http(service.http_port(), "POST", "/json", body); };
  for (const std::string& giant :
       {json(std::string(5'000, 'x'), 1), json("1", 40), json(std::string(1'000'000, 'x'), 1)}) {
    const std::string answer = post(giant);
    EXPECT_THAT(answer, testing::StartsWith("HTTP/1.1 413 ")) << giant.size();
    EXPECT_THAT(answer, HasSubstr("application/problem+json"));
  }
  EXPECT_THAT(post(std::string(20'000, '[')), testing::StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(post(json("1", 3)), testing::StartsWith("HTTP/1.1 200 ")) << "it goes on, and nothing was charged before";
}

TEST(ServiceTest, HotKeysAreABoundedListWithTheHottestFirst) {
  ServiceUnderTest service(InMemory());
  RateLimitResponse response;
  for (int i = 0; i < 400; ++i) {  // some 25 of them are in the sample, each with 31 keys that nobody else asks
    RateLimitRequest request = Request("tenant", "hot");
    for (int k = 0; k < 31; ++k) {
      *request.add_descriptors() = Request("odd", std::to_string(100 * i + k)).descriptors(0);
    }
    ASSERT_TRUE(service.Call(request, &response).ok());
  }
  const std::string answer = Http(service.http_port(), "GET", "/debug/hot-keys");
  std::istringstream body(answer.substr(answer.find("\r\n\r\n") + 4));
  std::vector<std::string> lines;
  for (std::string line; std::getline(body, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 1u + 64) << "a heading, and never more than 64 rows";
  EXPECT_THAT(lines[0], HasSubstr("one request in 16"));
  EXPECT_THAT(lines[1], testing::MatchesRegex("[0-9.]+%  [0-9]+  0  rl:.shop.:f:86400s:tenant=hot"));
  for (size_t i = 2; i < lines.size(); ++i) {
    EXPECT_THAT(lines[i], testing::MatchesRegex("[0-9.]+%  [0-9]+  [0-9]+  rl:.shop.:t:1500000us:odd=[0-9]+"));
  }
}

TEST(ServiceTest, TakesGoodRulesAndKeepsTheOldOnesForBadOnes) {
  ServiceUnderTest service(InMemory());
  EXPECT_EQ(service.Ask("new", "1", 5), RateLimitResponse::OK);
  service.WriteRules("domain: shop\ndescriptors: [{key: new, rate_limit: {unit: day, requests_per_unit: 1}}]\n");
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"ok\"} 1"); }));
  EXPECT_EQ(service.Ask("new", "1", 5), RateLimitResponse::OVER_LIMIT);
  service.WriteRules("domain: shop\ndescriptors: [{kay: new}]\n");
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"failed\"} 1"); }));
  EXPECT_TRUE(service.MetricsShow("ratelimit_rules_stale 1"));
  EXPECT_EQ(service.Ask("new", "1", 5), RateLimitResponse::OVER_LIMIT);
  service.WriteRules(kRules);
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"ok\"} 2"); }));
  EXPECT_TRUE(service.MetricsShow("ratelimit_rules_stale 0"));
  EXPECT_EQ(service.Ask("new", "1", 5), RateLimitResponse::OK);
}

TEST(ServiceTest, CountsInRedisOverReplicas) {
  redis::TestServer redis;
  ServiceUnderTest one(OnRedis(redis.port())), two(OnRedis(redis.port()));
  ASSERT_TRUE(one.started.ok() && two.started.ok());
  EXPECT_EQ(one.Admitted("tenant", "shared", 2), 2);
  EXPECT_EQ(two.Admitted("tenant", "shared", 3), 1);
  EXPECT_EQ(one.Admitted("tenant", "shared", 1), 0);
  EXPECT_NE(redis.Command({"EXISTS", "rl:{shop}:f:86400s:tenant=shared"}).find('1'), std::string::npos);
}

// What the process has in /metrics, after traffic, a store that went away and rules that were refused.
TEST(ServiceMetricsTest, PromtoolFindsNothingToComplainAbout) {
  const char* named = std::getenv("LAB_PROMTOOL");
  const std::string promtool = named != nullptr ? named : "promtool";
  if (std::system(("command -v " + promtool + " >/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no promtool (Debian package prometheus, or LAB_PROMTOOL=<path>)";
  }
  redis::TestServer redis;
  ServiceUnderTest service(OnRedis(redis.port()));
  ASSERT_TRUE(service.started.ok()) << service.started;
  service.Admitted("tenant", "1", 5);
  Http(service.http_port(), "POST", "/json", "{");
  redis.Kill();
  ASSERT_TRUE(WaitUntil([&] { return service.Ask("deny", "1") == RateLimitResponse::OVER_LIMIT; }));
  service.WriteRules("domain: shop\ndescriptors: [{kay: new}]\n");
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_stale 1"); }));
  const std::string file = service.rules_path() + ".metrics";
  std::ofstream(file) << service.MetricsText();
  EXPECT_EQ(std::system((promtool + " check metrics <" + file).c_str()), 0);
}

TEST(ServiceStartTest, ARedisThatIsNotThereIsNoReasonNotToStart) {
  int port = 0;
  {
    redis::TestServer gone;
    port = gone.port();
  }
  ServiceUnderTest service(OnRedis(port));
  ASSERT_TRUE(service.started.ok()) << service.started;
  EXPECT_EQ(service.Admitted("deny", "x", 3), 0);
  EXPECT_EQ(service.Admitted("allow", "x", 5), 5);
}

TEST(ServiceStartTest, ARedisInClusterModeIsRefused) {
  redis::TestServer redis({"--cluster-enabled", "yes"});
  ServiceUnderTest service(OnRedis(redis.port()));
  ASSERT_FALSE(service.started.ok());
  EXPECT_THAT(std::string(service.started.message()), HasSubstr("cluster"));
}

TEST(ServiceStartTest, APortThatIsTakenIsNamed) {
  ServiceUnderTest first(InMemory());
  async::Loop loop;
  obs::Metrics metrics;
  obs::Tracer tracer;
  http::Server http(loop, {});
  app::Environment environment{loop, metrics, tracer, http};
  Options options = InMemory();
  options.grpc.port = first.grpc_port();
  Service second(environment, options);
  const absl::Status status = second.Start();
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(first.grpc_port())));
}

TEST(ServiceStartTest, AServiceUnderLoadMayEndWithoutAStop) {
  for (int round = 0; round < 10; ++round) {
    ServiceUnderTest service(InMemory());
    ASSERT_TRUE(service.started.ok()) << service.started;
    const std::string target = "127.0.0.1:" + std::to_string(service.grpc_port());
    std::atomic<int> answered = 0;
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&] {
        rpc::testing::PlainClient client(target);
        RateLimitResponse response;
        while (client.Call(kMethod, Request("tenant", "1"), &response).ok()) ++answered;
      });
    }
    ASSERT_TRUE(WaitUntil([&] { return answered > 20; }));
    service.Destroy();
    for (std::thread& caller : callers) caller.join();
  }
}

TEST(ServiceStartTest, CheckFindsBadRules) {
  Options options;
  options.rules_path = "/nonexistent/rules.yaml";
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("/nonexistent/rules.yaml"));
  options.rules_path = "";
  EXPECT_TRUE(Check(options).ok());
}

}  // namespace
}  // namespace lab::ratelimit
