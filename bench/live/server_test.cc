#include "bench/live/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// A connection that sees every byte.
class Socket {
 public:
  explicit Socket(int port, int receive_buffer = 0) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void Send(const std::string& text) {
    ASSERT_EQ(send(fd_, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // Until `text` has come, or the connection ends.
  const std::string& ReadUntil(const std::string& text) {
    size_t from = 0;
    while (received_.find(text, from) == std::string::npos) {
      from = received_.size() - std::min(received_.size(), text.size());
      if (!ReadMore()) break;
    }
    return received_;
  }
  bool Reads(const std::string& text) { return ReadUntil(text).find(text) != std::string::npos; }
  std::string ReadAll() {
    while (ReadMore()) {
    }
    return received_;
  }
  bool ended() const { return ended_; }

 private:
  bool ReadMore() {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return false;
    char buffer[16 << 10];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    ended_ = got <= 0;
    if (!ended_) received_.append(buffer, static_cast<size_t>(got));
    return !ended_;
  }

  const int fd_;
  bool ended_ = false;
  std::string received_;
};

class FakeControl : public Control {
 public:
  absl::StatusOr<std::string> Break(const std::string& fault, std::optional<double> seconds,
                                    const std::map<std::string, std::string>& options) override {
    std::string call = Concat("break ", fault, " ", seconds ? Concat(*seconds) : "until healed");
    for (const auto& [name, value] : options) call += Concat(" ", name, "=", value);
    Called(call);
    if (fault == "nothing") return absl::NotFoundError("there is no fault \"nothing\"");
    return fault + "#1";
  }
  absl::Status Heal(const std::optional<std::string>& fault) override {
    Called("heal " + fault.value_or("all"));
    return absl::OkStatus();
  }
  absl::Status Load(double factor) override {
    Called(Concat("load ", factor));
    return absl::OkStatus();
  }
  absl::Status Down() override {
    Called("down");
    return absl::OkStatus();
  }
  std::vector<std::string> calls() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }

 private:
  void Called(const std::string& call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.push_back(call);
  }
  std::mutex mutex_;
  std::vector<std::string> calls_;
};

class LiveServerTest : public testing::Test {
 protected:
  void Start(Server::Options options = {}, bool judged = false, Hub::Options ring = {}) {
    hub_ = std::make_unique<Hub>(ring);
    server_ = std::make_unique<Server>(*hub_, judged ? nullptr : &control_, options);
    ASSERT_TRUE(server_->Start().ok());
  }
  std::string Host() const { return Concat("127.0.0.1:", server_->port()); }
  std::string Ask(const std::string& request) {
    Socket socket(server_->port());
    socket.Send(request);
    return socket.ReadAll();
  }
  std::string Get(const std::string& path, const std::string& host, const std::string& more = "") {
    return Ask(Concat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\nConnection: close\r\n", more, "\r\n"));
  }
  std::string Post(const std::string& path, const std::string& body, std::string headers = "") {
    if (headers.empty()) headers = Concat("X-Lab-Token: ", server_->token(), "\r\nContent-Type: application/json\r\n");
    return Ask(Concat("POST ", path, " HTTP/1.1\r\nHost: ", Host(), "\r\nConnection: close\r\n", headers,
                      "Content-Length: ", body.size(), "\r\n\r\n", body));
  }
  std::unique_ptr<Socket> Follow(const std::string& last_id = "", int receive_buffer = 0) {
    auto socket = std::make_unique<Socket>(server_->port(), receive_buffer);
    socket->Send(Concat("GET /events HTTP/1.1\r\nHost: ", Host(), "\r\n",
                        last_id.empty() ? "" : Concat("Last-Event-ID: ", last_id, "\r\n"), "\r\n"));
    return socket;
  }
  // Whether one more may follow; waits for it, as the server takes its time to notice who went.
  bool PlaceIsFree() {
    for (int attempt = 0; attempt < 2000; ++attempt) {
      if (Follow()->ReadUntil("\r\n\r\n").find(" 200 OK") != std::string::npos) return true;
      std::this_thread::sleep_for(Millis(10));
    }
    return false;
  }
  // "3fa9-2" of the last "id: 3fa9-2" in the text.
  static std::string LastId(const std::string& text) {
    const size_t at = text.rfind("id: ");
    return at == std::string::npos ? "" : text.substr(at + 4, text.find('\n', at) - at - 4);
  }

  FakeControl control_;
  std::unique_ptr<Hub> hub_;
  std::unique_ptr<Server> server_;
};

TEST_F(LiveServerTest, ServesThePageWithItsTokenAndPolicy) {
  Start();
  const std::string page = Get("/", Host());
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(page, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'sha256-"));
  EXPECT_THAT(page, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(page, HasSubstr("X-Frame-Options: DENY\r\n"));
  EXPECT_THAT(page, HasSubstr(Concat("{\"token\":\"", server_->token(), "\"}</script>")));
  EXPECT_EQ(server_->token().size(), 32u);
  EXPECT_EQ(server_->url(), Concat("http://", Host(), "/"));
  Server other(*hub_, nullptr, {});
  EXPECT_NE(other.token(), server_->token());
}

TEST_F(LiveServerTest, ServesTheState) {
  Start();
  hub_->SetState("lab", "\"outage\"");
  const std::string answer = Get("/api/state", Concat("localhost:", server_->port()));
  EXPECT_THAT(answer, HasSubstr("Content-Type: application/json\r\n"));
  EXPECT_THAT(answer, HasSubstr("{\"last_event\":1,\"lab\":\"outage\"}"));
}

TEST_F(LiveServerTest, RefusesAnotherHostWhateverIsAskedFor) {
  Start();
  for (const char* path : {"/", "/api/state", "/events"}) {
    for (const std::string& host : {std::string("evil.example"), Concat("evil.example:", server_->port()),
                                    std::string("127.0.0.1"), Concat("127.0.0.1:", server_->port() + 1)}) {
      const std::string answer = Get(path, host);
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 403 ")) << path << " " << host;
      EXPECT_THAT(answer, Not(HasSubstr(server_->token())));
    }
  }
}

TEST_F(LiveServerTest, RefusesAnotherOrigin) {
  Start();
  EXPECT_THAT(Get("/api/state", Host(), "Origin: http://evil.example\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get("/api/state", Host(), "Origin: null\r\n"), StartsWith("HTTP/1.1 403 "));
  const std::string good = Concat("X-Lab-Token: ", server_->token(), "\r\nContent-Type: application/json\r\n");
  EXPECT_THAT(Post("/api/heal", "{}", good + "Origin: http://127.0.0.1:1\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Post("/api/heal", "{}", good + "Sec-Fetch-Site: cross-site\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_TRUE(control_.calls().empty());
  EXPECT_THAT(Post("/api/heal", "{}", Concat(good, "Origin: http://", Host(), "\r\n")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(LiveServerTest, APostNeedsTheTokenAndJson) {
  Start();
  EXPECT_THAT(Post("/api/down", "{}", "Content-Type: application/json\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Post("/api/down", "{}", Concat("X-Lab-Token: ", std::string(32, '0'), "\r\n")),
              StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Post("/api/down", "{}", Concat("X-Lab-Token: ", server_->token(), "\r\nContent-Type: text/plain\r\n")),
              StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(Get("/api/down", Host()), StartsWith("HTTP/1.1 405 "));
  EXPECT_TRUE(control_.calls().empty());
}

TEST_F(LiveServerTest, PassesCommandsOn) {
  Start();
  EXPECT_THAT(Post("/api/break", R"({"fault":"redis.pause","for_s":2.5,"options":{"share":0.5,"who":"all"}})"),
              HasSubstr("{\"id\":\"redis.pause#1\"}"));
  EXPECT_THAT(Post("/api/break", R"({"fault":"redis.kill","for_s":null})"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post("/api/heal", R"({"fault":"redis.pause#1"})"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post("/api/heal", ""), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post("/api/load", R"({"factor":2})"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post("/api/down", "{}"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(control_.calls(), ElementsAre("break redis.pause 2.5 share=0.5 who=all", "break redis.kill until healed",
                                            "heal redis.pause#1", "heal all", "load 2", "down"));
}

TEST_F(LiveServerTest, SaysWhatIsWrongWithACommand) {
  Start();
  EXPECT_THAT(Post("/api/break", R"({"fault":"nothing"})"), HasSubstr("there is no fault \\\"nothing\\\""));
  const auto calls = control_.calls().size();
  EXPECT_THAT(Post("/api/break", "{"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Post("/api/break", "[]"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Post("/api/break", "{}"), HasSubstr("must name a fault"));
  EXPECT_THAT(Post("/api/break", R"({"fault":"a","for_s":-1})"), HasSubstr("for_s"));
  EXPECT_THAT(Post("/api/break", R"({"fault":"a","four":1})"), HasSubstr("unknown member \\\"four\\\""));
  EXPECT_THAT(Post("/api/load", R"({"factor":"2x"})"), HasSubstr("factor"));
  EXPECT_THAT(Post("/api/load", R"({"factor":101})"), HasSubstr("from 0 to 100"));
  EXPECT_EQ(control_.calls().size(), calls);
}

TEST_F(LiveServerTest, AJudgedRunIsNotBrokenByHand) {
  Start({}, true);
  const std::string answer = Post("/api/break", R"({"fault":"redis.pause"})");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 409 "));
  EXPECT_THAT(answer, HasSubstr("./lab up"));
}

TEST_F(LiveServerTest, FollowsEventsFromTheFirstOneOn) {
  Start();
  hub_->Publish("note", "{\"text\":\"before\"}");
  const auto client = Follow();
  const std::string begin = client->ReadUntil("before\"}\n\n");
  EXPECT_THAT(begin, HasSubstr("Content-Type: text/event-stream"));
  EXPECT_THAT(begin, HasSubstr("retry: 1000\n\n"));
  EXPECT_THAT(begin, HasSubstr("-1\nevent: note\ndata: {\"text\":\"before\"}\n\n"));
  EXPECT_THAT(begin, Not(HasSubstr("reset")));
  hub_->Publish("second", "{\"at_s\":1}");
  EXPECT_THAT(client->ReadUntil("at_s\":1}\n\n"), HasSubstr("-2\nevent: second\ndata: {\"at_s\":1}\n\n"));
}

TEST_F(LiveServerTest, ALostConnectionGoesOnWhereItWas) {
  Start();
  hub_->Publish("n", "{\"i\":1}");
  auto client = Follow();
  const std::string id = LastId(client->ReadUntil("{\"i\":1}\n\n"));
  client.reset();
  hub_->Publish("n", "{\"i\":2}");
  client = Follow(id);
  const std::string text = client->ReadUntil("{\"i\":2}\n\n");
  EXPECT_THAT(text, Not(HasSubstr("{\"i\":1}")));
  EXPECT_THAT(text, Not(HasSubstr("reset")));
}

TEST_F(LiveServerTest, WhoWasAwayForTooLongBeginsAnew) {
  Start({}, false, {.max_events = 3});
  hub_->Publish("n", "{\"i\":1}");
  auto client = Follow();
  const std::string id = LastId(client->ReadUntil("{\"i\":1}\n\n"));
  client.reset();
  for (int i = 2; i <= 9; ++i) hub_->Publish("n", Concat("{\"i\":", i, "}"));
  client = Follow(id);
  EXPECT_THAT(client->ReadUntil("{\"i\":9}\n\n"), HasSubstr("event: reset\ndata: {}\n\nid: "));
  // So does who followed another server on this port, or sends garbage.
  for (const char* other : {"00000000-1", "x", "-", "99999999999999999999999"}) {
    EXPECT_THAT(Follow(other)->ReadUntil("{\"i\":9}\n\n"), HasSubstr("event: reset\n")) << other;
  }
}

TEST_F(LiveServerTest, AnIdleConnectionIsKeptAlive) {
  Start({.heartbeat = Millis(5)});
  const auto client = Follow();
  EXPECT_THAT(client->ReadUntil(": still here\n\n"), HasSubstr(": still here\n\n"));
  hub_->Publish("n", "{\"i\":1}");
  client->ReadUntil("{\"i\":1}");
  EXPECT_FALSE(client->ended());
}

TEST_F(LiveServerTest, AClientThatReadsNothingIsClosedAndOthersGoOn) {
  Start({.max_clients = 2, .stalled_after = Millis(1000)}, false, {.max_bytes = 64 << 20});
  const auto stalled = Follow("", 4096);
  ASSERT_TRUE(stalled->Reads("retry"));
  const auto quick = Follow();
  ASSERT_TRUE(quick->Reads("retry"));
  const std::string large = Concat("{\"x\":\"", std::string(30'000, 'x'), "\"}");
  for (int i = 0; i < 400; ++i) hub_->Publish("n", large);
  hub_->Publish("last", "{}");
  EXPECT_TRUE(quick->Reads("-401\nevent: last\n"));
  ASSERT_TRUE(PlaceIsFree());
  // As much as the sockets held, and the end.
  const std::string got = stalled->ReadAll();
  EXPECT_TRUE(stalled->ended());
  EXPECT_EQ(got.find("event: last\n"), std::string::npos);
  hub_->Publish("more", "{}");
  EXPECT_TRUE(quick->Reads("event: more\n"));
}

TEST_F(LiveServerTest, FollowersAreLimited) {
  Start({.max_clients = 2});
  auto first = Follow(), second = Follow();
  ASSERT_TRUE(first->Reads("retry"));
  ASSERT_TRUE(second->Reads("retry"));
  EXPECT_THAT(Follow()->ReadUntil("close a page"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Get("/api/state", Host()), StartsWith("HTTP/1.1 200 "));
  first.reset();
  EXPECT_TRUE(PlaceIsFree());
}

TEST_F(LiveServerTest, EndsWithClientsAndPublishersAtWork) {
  Start();
  const auto client = Follow();
  client->ReadUntil("retry");
  std::atomic<bool> stop{false};
  std::thread publisher([&] {
    while (!stop) hub_->Publish("n", "{}");
  });
  client->ReadUntil("event: n\n");
  server_.reset();
  stop = true;
  publisher.join();
  client->ReadAll();
  EXPECT_TRUE(client->ended());
}

TEST_F(LiveServerTest, WhatWasPublishedBeforeTheEndIsTold) {
  Start();
  const auto client = Follow();
  ASSERT_TRUE(client->Reads("retry"));
  for (int i = 0; i < 2000; ++i) hub_->Publish("n", "{}");
  hub_->Publish("verdict", "{\"state\":\"pass\"}");
  server_.reset();
  EXPECT_TRUE(client->Reads("event: verdict\ndata: {\"state\":\"pass\"}\n\n"));
  client->ReadAll();
  EXPECT_TRUE(client->ended());
}

TEST_F(LiveServerTest, APortThatIsTakenIsAnError) {
  Start();
  Server second(*hub_, nullptr, {.port = server_->port()});
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Concat(server_->port())));
}

}  // namespace
}  // namespace lab::bench::live
