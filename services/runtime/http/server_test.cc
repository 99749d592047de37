#include "services/runtime/http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <future>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/metrics.h"

namespace lab::http {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

// A client that sees every byte.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server may close before it has all
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void CloseHalf() { shutdown(fd_, SHUT_WR); }

  // Reads until `count` bodies that end in `end` have come, or the connection ends.
  std::string ReadUntil(std::string_view end, int count = 1) {
    while (Occurrences(end) < count && ReadMore()) {
    }
    return received_;
  }
  std::string ReadAll() {
    while (ReadMore()) {
    }
    return received_;
  }
  bool closed() const { return closed_; }

 private:
  int Occurrences(std::string_view text) const {
    int count = 0;
    for (size_t at = received_.find(text); at != std::string::npos; at = received_.find(text, at + 1)) ++count;
    return count;
  }
  bool ReadMore() {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return false;
    char buffer[16 << 10];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    if (got <= 0) {
      closed_ = true;
      return false;
    }
    received_.append(buffer, static_cast<size_t>(got));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string received_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { Stop(); }

  void Start(Server::Options options = {}) {
    options.metrics = &metrics_;
    server_ = std::make_unique<Server>(loop_, options);
    server_->Handle("GET", "/hello", [](const Request& request, Server::Respond respond) {
      const auto name = request.query.find("name");
      respond({200, "text/plain", name == request.query.end() ? "hello" : Concat("hello ", name->second), {}});
    });
    server_->Handle("POST", "/echo", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat(request.body, "!"), {{"X-Forged", "a\r\nX-Evil: b"}}});
    });
    server_->Handle("GET", "/tree/*", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat("tree:", request.path), {}});
    });
    server_->Handle("GET", "/tree/leaf/*", [](const Request&, Server::Respond respond) {
      respond({200, "text/plain", "leaf", {}});
    });
    server_->Handle("GET", "/headers", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat(request.Header("x-one"), "|", obs::FormatTraceparent(request.trace)), {}});
    });
    server_->Handle("GET", "/drop", [](const Request&, Server::Respond) {});
    server_->Handle("GET", "/throw", [](const Request&, Server::Respond) { throw std::runtime_error("no"); });
    server_->Handle("GET", "/big", [](const Request&, Server::Respond respond) {
      respond({200, "text/plain", std::string(32 << 20, 'x'), {}});
    });
    server_->Handle("GET", "/later", [this](const Request&, Server::Respond respond) {
      waiting_.push_back(std::move(respond));
      ++waiting_count_;
    });
    ASSERT_TRUE(server_->Start().ok());
    thread_ = std::thread([this] { loop_.Run(); });
  }

  // Runs on the loop and waits for it.
  void OnLoop(std::function<void()> what) {
    std::promise<void> done;
    loop_.Post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Stop() {
    if (!thread_.joinable()) return;
    OnLoop([this] {
      waiting_.clear();
      server_.reset();
    });
    loop_.Stop();
    thread_.join();
  }

  void AnswerWaiting() {
    OnLoop([this] {
      for (Server::Respond& respond : waiting_) respond({200, "text/plain", "finally", {}});
      waiting_.clear();
    });
  }

  template <typename Condition>
  bool WaitUntil(Condition condition) {
    const auto end = Clock::now() + seconds(20);
    while (!condition()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(Millis(1));
    }
    return true;
  }

  std::string Ask(std::string_view request) {
    RawClient client(server_->port());
    client.Send(request);
    client.CloseHalf();
    return client.ReadAll();
  }

  double Metric(const std::string& name) {
    const std::string text = metrics_.Text();
    const size_t at = text.find(Concat("\n", name, " "));
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  std::unique_ptr<Server> server_;
  std::vector<Server::Respond> waiting_;  // on the loop's thread
  std::atomic<int> waiting_count_ = 0;
  std::thread thread_;
};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  Start();
  RawClient client(server_->port());
  client.Send(kGet);
  const std::string first = client.ReadUntil("hello");
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(first, HasSubstr("Connection: keep-alive\r\n"));
  client.Send("GET /hello?name=a+b%26c&name=x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), HasSubstr("hello a b&c"));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(Metric("http_requests_total{code=\"2xx\"}"), 2);
}

TEST_F(ServerTest, Http10ClosesUnlessAsked) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), HasSubstr("Connection: close"));
  RawClient kept(server_->port());
  kept.Send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_THAT(kept.ReadUntil("hello"), HasSubstr("Connection: keep-alive"));
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  Start();
  RawClient client(server_->port());
  std::string requests, expected;
  for (int i = 0; i < 2000; ++i) requests += Concat("GET /hello?name=", i, " HTTP/1.1\r\nHost: a\r\n\r\n");
  std::thread sender([&] { client.Send(requests); });
  client.ReadUntil("hello ", 2000);
  sender.join();
  const std::string received = client.ReadUntil("hello 1999");
  size_t at = 0;
  for (int i = 0; i < 2000; ++i) {
    at = received.find(Concat("\r\n\r\nhello ", i), at);
    ASSERT_NE(at, std::string::npos) << i;
    ++at;
  }
}

TEST_F(ServerTest, ALaterAnswerHoldsBackTheNextOne) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  client.Send(kGet);
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  AnswerWaiting();
  const std::string received = client.ReadUntil("hello");
  EXPECT_LT(received.find("finally"), received.find("hello"));
}

TEST_F(ServerTest, Routes) {
  Start();
  EXPECT_THAT(Ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  const std::string wrong = Ask("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(wrong, StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(wrong, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(Ask("GET /tree/a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("tree:/tree/a/b"));
  EXPECT_THAT(Ask("GET /tree/leaf/x HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("leaf"));
  EXPECT_THAT(Ask("GET /tree HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("GET http://a.b:1/hello?name=x HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr("hello x"));
  EXPECT_THAT(Ask("GET /hello%zz HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello%00 HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400"));  // no Host
}

TEST_F(ServerTest, HeadHasTheHeadersOfGetAndNoBody) {
  Start();
  const std::string received = Ask("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(received, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_TRUE(received.ends_with("\r\n\r\n")) << received;
}

TEST_F(ServerTest, HandsOverHeadersAndTrace) {
  Start();
  const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_THAT(Ask(Concat("GET /headers HTTP/1.1\r\nHost: a\r\nX-ONE:  two \r\ntraceparent: ", trace, "\r\n\r\n")),
              HasSubstr(Concat("two|", trace)));
}

TEST_F(ServerTest, ReadsBodies) {
  Start();
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"), HasSubstr("\r\n\r\nabc!"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
              HasSubstr("\r\n\r\nabc!"));
  const std::string forged = Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_THAT(forged, Not(HasSubstr("\r\nX-Evil")));
}

TEST_F(ServerTest, SaysContinue) {
  Start();
  RawClient client(server_->port());
  client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_THAT(client.ReadUntil("\r\n\r\n"), StartsWith("HTTP/1.1 100 Continue\r\n\r\n"));
  client.Send("abc");
  EXPECT_THAT(client.ReadUntil("abc!"), HasSubstr("HTTP/1.1 200 OK"));
}

TEST_F(ServerTest, BoundsTheHeaders) {
  Start({.max_header_bytes = 1024});
  const std::string request = Concat("GET /hello HTTP/1.1\r\nHost: a\r\nX: ", std::string(2000, 'x'), "\r\n\r\n");
  EXPECT_THAT(Ask(request), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(Ask(request.substr(0, 1500)), StartsWith("HTTP/1.1 431"));                     // never ends
  EXPECT_THAT(Ask(Concat("GET /", std::string(1 << 20, 'x'))), StartsWith("HTTP/1.1 431"));  // nor does this
  EXPECT_THAT(Ask(Concat("GET /hello HTTP/1.1\r\nHost: a\r\nX: ", std::string(900, 'x'), "\r\n\r\n")),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, BoundsTheBody) {
  Start({.max_body_bytes = 100});
  const std::string declared = Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n");
  EXPECT_THAT(declared, StartsWith("HTTP/1.1 413"));
  EXPECT_EQ(json::parse(declared.substr(declared.find("\r\n\r\n") + 4))["status"], 413);
  const std::string chunk = Concat("40\r\n", std::string(64, 'x'), "\r\n");
  EXPECT_THAT(Ask(Concat("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, chunk)),
              StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(Ask(Concat("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", std::string(100, 'x'))),
              StartsWith("HTTP/1.1 200"));
  // An endless extension of a chunk is neither header nor body, and bounded all the same.
  EXPECT_THAT(
      Ask(Concat("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", std::string(100'000, 'e'))),
      StartsWith("HTTP/1.1 4"));
  // The reason arrives although the client goes on sending.
  EXPECT_THAT(
      Ask(Concat("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 150000\r\n\r\n", std::string(150'000, 'x'))),
      StartsWith("HTTP/1.1 413"));
}

TEST_F(ServerTest, SlowHeadersAreCutOff) {
  Start({.header_timeout = Millis(150)});
  RawClient client(server_->port());
  std::atomic<bool> done = false;
  std::thread drip([&] {  // a byte now and then: each is progress, the whole is not
    for (int i = 0; i < 2000 && !done; ++i) {
      client.Send(i == 0 ? "GET /hello HTTP/1.1\r\nX: " : "x");
      std::this_thread::sleep_for(Millis(10));
    }
  });
  EXPECT_THAT(client.ReadAll(), StartsWith("HTTP/1.1 408"));
  EXPECT_TRUE(client.closed());
  done = true;
  drip.join();
  RawClient silent(server_->port());
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_TRUE(silent.closed());
}

TEST_F(ServerTest, SlowBodiesAndIdleConnectionsAreCutOff) {
  Start({.idle_timeout = Millis(150)});
  RawClient body(server_->port());
  body.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na");
  EXPECT_THAT(body.ReadAll(), StartsWith("HTTP/1.1 408"));
  RawClient idle(server_->port());
  idle.Send(kGet);
  EXPECT_TRUE(idle.ReadAll().ends_with("hello"));
  EXPECT_TRUE(idle.closed());
}

TEST_F(ServerTest, AClientThatDoesNotReadIsCutOff) {
  Start({.idle_timeout = Millis(150)});
  RawClient client(server_->port());
  client.Send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_requests_total{code=\"2xx\"}") == 1; }));
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_open_connections") == 0; }));
}

TEST_F(ServerTest, BoundsTheConnections) {
  Start({.max_connections = 3});
  std::vector<std::unique_ptr<RawClient>> served;
  for (int i = 0; i < 3; ++i) {
    served.push_back(std::make_unique<RawClient>(server_->port()));
    served.back()->Send(kGet);
    served.back()->ReadUntil("hello");
  }
  RawClient refused(server_->port());
  refused.Send(kGet);
  EXPECT_THAT(refused.ReadAll(), StartsWith("HTTP/1.1 503"));
  EXPECT_TRUE(refused.closed());
  EXPECT_EQ(Metric("http_refused_connections_total"), 1);
  served.clear();
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_open_connections") == 0; }));
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ManyMoreConnectionsThanTheBound) {
  Start({.max_connections = 16});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 400; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  }
  int answered = 0, refused = 0;
  for (const auto& client : clients) {
    const std::string received = client->ReadAll();
    answered += received.starts_with("HTTP/1.1 200");
    refused += received.starts_with("HTTP/1.1 503");
  }
  EXPECT_GE(answered, 16);
  clients.clear();
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_open_connections") == 0; }));
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, DroppedAndThrownRequestsAre500) {
  Start();
  EXPECT_THAT(Ask("GET /drop HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(Ask("GET /throw HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 500"));
  EXPECT_EQ(Metric("http_requests_total{code=\"5xx\"}"), 2);
}

TEST_F(ServerTest, GarbageIsRefusedAndHarmless) {
  Start();
  Random random(testing::UnitTest::GetInstance()->random_seed());
  std::cout << "seed " << testing::UnitTest::GetInstance()->random_seed() << "\n";
  for (int i = 0; i < 300; ++i) {
    std::string bytes(random.Below(2000) + 1, '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    if (i % 3 == 1) bytes = Concat(kGet.substr(0, 20), bytes);
    if (i % 3 == 2) {  // a right request with one wrong byte
      bytes = kGet;
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Next());
    }
    const std::string received = Ask(bytes);
    EXPECT_TRUE(received.empty() || received.starts_with("HTTP/1.1 ")) << received;
  }
  EXPECT_THAT(Ask("\x16\x03\x01\x02"), StartsWith("HTTP/1.1 400"));  // TLS
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("GET /hello HTTP/1.1\r\nHo"), StartsWith("HTTP/1.1 400"));  // half-closed in the middle
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200"));
}

TEST_F(ServerTest, ConnectionsThatVanishLeaveNothingBehind) {
  Start();
  for (int i = 0; i < 100; ++i) {
    RawClient client(server_->port());
    if (i % 2 == 0) client.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 50; }));
  AnswerWaiting();
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_open_connections") == 0; }));
}

TEST_F(ServerTest, DrainLetsRequestsEnd) {
  Start();
  RawClient busy(server_->port()), idle(server_->port());
  idle.Send(kGet);
  idle.ReadUntil("hello");
  busy.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  const int port = server_->port();
  std::promise<void> drained;
  std::future<void> done = drained.get_future();
  OnLoop([&] { server_->Drain(Clock::now() + seconds(20), [&] { drained.set_value(); }); });
  idle.ReadAll();
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(RawClient(port).connected());
  EXPECT_EQ(done.wait_for(seconds(0)), std::future_status::timeout);
  AnswerWaiting();
  const std::string received = busy.ReadAll();
  EXPECT_THAT(received, HasSubstr("finally"));
  EXPECT_THAT(received, HasSubstr("Connection: close"));
  EXPECT_EQ(done.wait_for(seconds(20)), std::future_status::ready);
}

TEST_F(ServerTest, DrainEndsAtItsDeadline) {
  Start();
  RawClient busy(server_->port());
  busy.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  std::promise<void> drained;
  OnLoop([&] { server_->Drain(Clock::now() + Millis(50), [&] { drained.set_value(); }); });
  EXPECT_EQ(drained.get_future().wait_for(seconds(20)), std::future_status::ready);
  busy.ReadAll();
  EXPECT_TRUE(busy.closed());
  AnswerWaiting();  // too late, and harmless
}

TEST_F(ServerTest, RespondMayOutliveTheServer) {
  Start();
  RawClient client(server_->port());
  client.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  OnLoop([this] { server_.reset(); });
  client.ReadAll();
  EXPECT_TRUE(client.closed());
  AnswerWaiting();
}

TEST_F(ServerTest, ATakenPortIsAnError) {
  Start();
  Server second(loop_, {.port = server_->port()});
  const absl::Status status = second.Start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(Concat("127.0.0.1:", server_->port())));
  EXPECT_EQ(Server(loop_, {.host = "not-an-address"}).Start().code(), absl::StatusCode::kInvalidArgument);
}

TEST(FromStatusTest, MapsCodesToProblems) {
  EXPECT_EQ(FromStatus(absl::OkStatus()).status, 200);
  EXPECT_EQ(FromStatus(absl::NotFoundError("x")).status, 404);
  EXPECT_EQ(FromStatus(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(FromStatus(absl::ResourceExhaustedError("x")).status, 429);
  EXPECT_EQ(FromStatus(absl::InternalError("x")).status, 500);
  const Response response = FromStatus(absl::InvalidArgumentError("a \"b\""));
  EXPECT_EQ(response.content_type, "application/problem+json");
  const json body = json::parse(response.body);
  EXPECT_EQ(body["status"], 400);
  EXPECT_EQ(body["title"], "INVALID_ARGUMENT");
  EXPECT_EQ(body["detail"], "a \"b\"");
}

}  // namespace
}  // namespace lab::http
