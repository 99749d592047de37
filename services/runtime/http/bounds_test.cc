#include <iostream>
#include <nlohmann/json.hpp>

#include "services/runtime/base/random.h"
#include "services/runtime/http/server_fixture.h"

namespace lab::http {
namespace {

using nlohmann::json;
using ::testing::StartsWith;

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
    served.back()->Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  }
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 3; }));
  RawClient refused(server_->port());
  refused.Send(kGet);
  EXPECT_THAT(refused.ReadAll(), StartsWith("HTTP/1.1 503"));
  EXPECT_TRUE(refused.closed());
  EXPECT_EQ(Metric("http_refused_connections_total"), 1);
  EXPECT_EQ(Metric("http_shed_connections_total"), 0);
  AnswerWaiting();
  for (const auto& client : served) EXPECT_TRUE(client->ReadUntil("finally").ends_with("finally"));
  served.clear();
  EXPECT_TRUE(WaitUntil([this] { return Metric("http_open_connections") == 0; }));
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200"));
}

// However many come at once while all are in a request: each gets the reason, none is just cut off.
TEST_F(ServerTest, EverybodyBeyondTheBoundIsToldSo) {
  Start({.max_connections = 2});
  RawClient one(server_->port()), two(server_->port());
  one.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  two.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 2; }));
  std::vector<std::unique_ptr<RawClient>> refused;
  for (int i = 0; i < 300; ++i) {
    refused.push_back(std::make_unique<RawClient>(server_->port()));
    refused.back()->Send(kGet);
  }
  for (const auto& client : refused) {
    EXPECT_THAT(client->ReadAll(), StartsWith("HTTP/1.1 503"));
    EXPECT_TRUE(client->closed());
  }
  EXPECT_EQ(Metric("http_refused_connections_total"), 300);
  AnswerWaiting();
  EXPECT_TRUE(one.ReadUntil("finally").ends_with("finally"));
  EXPECT_THAT(Ask(kGet), StartsWith("HTTP/1.1 200"))
      << "who has been refused, and is still there, takes nobody's place";
}

TEST_F(ServerTest, HalfSentRequestsDoNotKeepOthersOut) {
  Start();
  std::vector<std::unique_ptr<RawClient>> half;
  for (int i = 0; i < 300; ++i) {
    half.push_back(std::make_unique<RawClient>(server_->port()));
    half.back()->Send(i % 2 == 0 ? "GET /hello HTTP/1.1\r\nHo" : "");
  }
  RawClient scrape(server_->port());
  scrape.Send(kGet);
  EXPECT_THAT(scrape.ReadUntil("hello"), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(Metric("http_refused_connections_total"), 0);
  EXPECT_EQ(Metric("http_shed_connections_total"), 300 + 1 - 256);
  EXPECT_EQ(half.front()->ReadAll(), "");
  EXPECT_TRUE(half.front()->closed());  // the oldest
}

TEST_F(ServerTest, AnIdleConnectionMakesRoomAndOneInARequestDoesNot) {
  Start({.max_connections = 2});
  RawClient busy(server_->port());
  busy.Send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(WaitUntil([this] { return waiting_count_ == 1; }));
  RawClient idle(server_->port());
  idle.Send(kGet);
  idle.ReadUntil("hello");
  RawClient next(server_->port());
  next.Send(kGet);
  EXPECT_THAT(next.ReadUntil("hello"), StartsWith("HTTP/1.1 200"));
  idle.ReadAll();
  EXPECT_TRUE(idle.closed());
  AnswerWaiting();
  EXPECT_TRUE(busy.ReadUntil("finally").ends_with("finally"));
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

}  // namespace
}  // namespace lab::http
