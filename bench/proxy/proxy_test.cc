// Proxies between real sockets.
#include <sys/resource.h>

#include "bench/proxy/testing/proxy_fixture.h"
#include "services/runtime/base/random.h"

namespace lab::proxy {
namespace {

class ProxyTest : public ApiTest {
 protected:
  ProxyTest() : port_(MakeProxy("p", upstream_.port())) {}

  // A client and its server, connected through the proxy.
  std::pair<Peer, Peer> Pair() {
    Peer client = Peer::Connect(port_);
    Peer server = upstream_.Accept();
    EXPECT_TRUE(client.connected() && server.connected());
    return {std::move(client), std::move(server)};
  }
  static Nanos Since(Clock::time_point begin) { return Clock::now() - begin; }

  Listener upstream_;
  const int port_;
};

TEST_F(ProxyTest, CarriesBothWays) {
  auto [client, server] = Pair();
  client.Send("question");
  EXPECT_EQ(server.Receive(8), "question");
  server.Send("answer");
  EXPECT_EQ(client.Receive(6), "answer");
  EXPECT_EQ(Metric("toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",proxy=\"p\""), 8);
  EXPECT_EQ(Metric("toxiproxy_proxy_received_bytes_total{direction=\"downstream\",proxy=\"p\""), 6);
  EXPECT_EQ(Metric("toxiproxy_proxy_open_connections{proxy=\"p\""), 1);
}

TEST_F(ProxyTest, AHalfCloseGoesThrough) {
  auto [client, server] = Pair();
  client.Send("all");
  client.Shut();
  EXPECT_EQ(server.ReceiveAll(), "all");
  EXPECT_TRUE(server.ended());
  server.Send("and an answer after it");
  server.Close();
  EXPECT_EQ(client.ReceiveAll(), "and an answer after it");
  EXPECT_TRUE(client.ended());
  EXPECT_TRUE(Eventually([&] { return Metric("toxiproxy_proxy_open_connections{proxy=\"p\"") == 0; }));
}

TEST_F(ProxyTest, AResetGoesThrough) {
  auto [client, server] = Pair();
  client.Send("x");
  server.Receive(1);
  server.Reset();
  client.ReceiveAll();
  EXPECT_TRUE(client.reset());
}

TEST_F(ProxyTest, AnUpstreamThatIsNotThereClosesTheClient) {
  int closed_port = 0;
  {
    Listener gone;
    closed_port = gone.port();
  }
  Peer client = Peer::Connect(MakeProxy("dead", closed_port));
  EXPECT_EQ(client.ReceiveAll(), "");
  EXPECT_EQ(Metric("toxiproxy_proxy_connect_failures_total{proxy=\"dead\""), 1);
}

TEST_F(ProxyTest, DownRefusesAndClosesAndComesBackOnItsPort) {
  auto [client, server] = Pair();
  EXPECT_EQ(Ask("POST", "/proxies/p", R"({"enabled":false})").status, 200);
  client.ReceiveAll();
  EXPECT_TRUE(client.ended() || client.reset());
  EXPECT_FALSE(Peer::Connect(port_).connected());
  EXPECT_EQ(Ask("POST", "/reset").status, 204);
  auto [again, peer] = Pair();
  again.Send("x");
  EXPECT_EQ(peer.Receive(1), "x");
}

TEST_F(ProxyTest, LatencyDelaysOneStreamOnly) {
  AddToxic("p", "latency", R"({"latency":60})", "upstream");
  auto [client, server] = Pair();
  Clock::time_point begin = Clock::now();
  client.Send("slow");
  EXPECT_EQ(server.Receive(4), "slow");
  EXPECT_GE(Since(begin), Millis(60));
  // Many in flight cost one latency, not one each.
  begin = Clock::now();
  for (int i = 0; i < 100; ++i) {
    client.Send("x");
    usleep(100);
  }
  EXPECT_EQ(server.Receive(100).size(), 100u);
  EXPECT_GE(Since(begin), Millis(60));
  server.Send("y");
  EXPECT_EQ(client.Receive(1), "y");
}

TEST_F(ProxyTest, BandwidthBoundsTheRate) {
  AddToxic("p", "bandwidth", R"({"rate":1000})");  // 1 MB/s
  auto [client, server] = Pair();
  const Clock::time_point begin = Clock::now();
  std::thread sender([&] { server.Send(std::string(150'000, 'x')); });
  EXPECT_EQ(client.Receive(150'000).size(), 150'000u);
  EXPECT_GE(Since(begin), Millis(150));
  sender.join();
}

TEST_F(ProxyTest, SlowCloseDelaysTheEnd) {
  for (const char* stream : {"upstream", "downstream"}) {
    Ask("POST", "/reset");
    AddToxic("p", "slow_close", R"({"delay":80})", stream);
    auto [client, server] = Pair();
    const bool up = std::string(stream) == "upstream";
    Peer& from = up ? client : server;
    Peer& to = up ? server : client;
    const Clock::time_point begin = Clock::now();
    from.Send("bye");
    from.Shut();
    EXPECT_EQ(to.ReceiveAll(), "bye");
    EXPECT_TRUE(to.ended());
    EXPECT_GE(Since(begin), Millis(80));
  }
}

TEST_F(ProxyTest, TimeoutSwallowsAndCloses) {
  AddToxic("p", "timeout", R"({"timeout":80})", "upstream");
  auto [client, server] = Pair();
  const Clock::time_point begin = Clock::now();
  client.Send("lost");
  EXPECT_EQ(server.ReceiveAll(), "");
  EXPECT_GE(Since(begin), Millis(80));
  client.ReceiveAll();
  EXPECT_TRUE(client.ended() || client.reset());
}

TEST_F(ProxyTest, ATimeoutOfZeroHoldsUntilItIsRemoved) {
  AddToxic("p", "timeout", R"({"timeout":0})");
  auto [client, server] = Pair();
  server.Send("lost");
  EXPECT_EQ(client.ReceiveFor(Millis(60)), "");
  EXPECT_FALSE(client.ended());
  EXPECT_EQ(Ask("DELETE", "/proxies/p/toxics/timeout_downstream").status, 204);
  EXPECT_EQ(client.ReceiveAll(), "");
  EXPECT_TRUE(client.ended() || client.reset());
}

TEST_F(ProxyTest, ResetPeerResetsBothSides) {
  for (const bool existing : {false, true}) {
    Ask("POST", "/reset");
    if (!existing) AddToxic("p", "reset_peer", R"({"timeout":0})");
    auto [client, server] = Pair();
    if (existing) AddToxic("p", "reset_peer", R"({"timeout":0})");
    server.Send("lost");
    EXPECT_EQ(client.ReceiveAll(), "");
    EXPECT_TRUE(client.reset()) << existing;
    server.ReceiveAll();
    EXPECT_TRUE(server.reset()) << existing;
  }
}

TEST_F(ProxyTest, SlicerSlices) {
  AddToxic("p", "slicer", R"({"average_size":100,"size_variation":20,"delay":2000})");
  auto [client, server] = Pair();
  const Clock::time_point begin = Clock::now();
  server.Send(std::string(2'000, 'x'));
  EXPECT_EQ(client.Receive(2'000).size(), 2'000u);
  EXPECT_GE(Since(begin), Millis(2 * 15));
}

TEST_F(ProxyTest, LimitDataClosesAfterItsBytes) {
  for (const char* stream : {"upstream", "downstream"}) {
    Ask("POST", "/reset");
    AddToxic("p", "limit_data", R"({"bytes":1000})", stream);
    auto [client, server] = Pair();
    const bool up = std::string(stream) == "upstream";
    Peer& from = up ? client : server;
    Peer& to = up ? server : client;
    from.Send(std::string(1'500, 'x'));
    EXPECT_EQ(to.ReceiveAll().size(), 1'000u);
  }
}

TEST_F(ProxyTest, ToxicityZeroAndOne) {
  AddToxic("p", "timeout", R"({"timeout":0})", "upstream", 0);
  for (int i = 0; i < 20; ++i) {
    auto [client, server] = Pair();
    client.Send("x");
    EXPECT_EQ(server.Receive(1), "x");
  }
  EXPECT_EQ(Ask("PATCH", "/proxies/p/toxics/timeout_upstream", R"({"toxicity":1})").status, 200);
  for (int i = 0; i < 5; ++i) {
    auto [client, server] = Pair();
    client.Send("x");
    EXPECT_EQ(server.ReceiveFor(Millis(10)), "");
  }
}

// A client that does not read holds back its server, and the proxy keeps no more than its bound.
TEST_F(ProxyTest, BackPressureReachesTheSender) {
  AddToxic("p", "latency", R"({"latency":1})");
  auto [client, server] = Pair();
  std::atomic<size_t> sent{0};
  std::atomic<bool> stop{false};
  std::thread sender([&, &peer = server] {
    const std::string block(64 << 10, 'x');
    while (!stop && peer.Send(block)) sent += block.size();
  });
  size_t before = SIZE_MAX;
  EXPECT_TRUE(Eventually([&] {
    const size_t now = sent;
    const bool still = now == before && now > 0;
    before = now;
    usleep(200'000);
    return still;
  }));
  EXPECT_LT(sent.load(), 64u << 20);
  stop = true;
  const size_t all = sent;
  EXPECT_GE(client.Receive(all).size(), all);
  client.Close();
  sender.join();
}

TEST_F(ProxyTest, ManyConnectionsComeAndGo) {
  constexpr int kRounds = 40, kAtOnce = 50;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::pair<Peer, Peer>> pairs;
    for (int i = 0; i < kAtOnce; ++i) pairs.push_back(Pair());
    for (auto& [client, server] : pairs) client.Send("ping");
    for (auto& [client, server] : pairs) EXPECT_EQ(server.Receive(4), "ping");
  }
  EXPECT_EQ(Metric("toxiproxy_proxy_connections_total{proxy=\"p\""), kRounds * kAtOnce);
  EXPECT_TRUE(Eventually([&] { return Metric("toxiproxy_proxy_open_connections{proxy=\"p\"") == 0; }));
}

// Bytes in both directions at full speed while toxics come, change and go: what arrives is what was sent.
TEST_F(ProxyTest, ToxicsComeAndGoUnderLoad) {
  constexpr size_t kBytes = 16 << 20;
  auto [client, server] = Pair();
  const auto bytes_of = [](uint64_t seed) {
    Random random(seed);
    std::string bytes(kBytes, '\0');
    for (size_t i = 0; i < kBytes; i += 8) {
      const uint64_t word = random.Next();
      bytes.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
    }
    return bytes;
  };
  const std::string up = bytes_of(1), down = bytes_of(2);
  std::string got_up, got_down;
  std::atomic<int> reading{2};
  const auto read = [&](Peer& peer, std::string& into) {
    into = peer.Receive(kBytes);
    --reading;
  };
  std::thread threads[] = {std::thread([&, &peer = client] { peer.Send(up); }),
                           std::thread([&, &peer = server] { peer.Send(down); }),
                           std::thread([&, &peer = server] { read(peer, got_up); }),
                           std::thread([&, &peer = client] { read(peer, got_down); })};
  const std::vector<std::pair<const char*, const char*>> toxics = {
      {"latency", R"({"latency":2,"jitter":2})"},
      {"slicer", R"({"average_size":4000,"size_variation":3000,"delay":1})"},
      {"bandwidth", R"({"rate":200000})"},
      {"slow_close", R"({"delay":1})"}};
  Random random(3);
  int rounds = 0;
  while (reading > 0) {
    const auto& [type, attributes] = toxics[random.Below(toxics.size())];
    const std::string stream = random.Below(2) == 0 ? "upstream" : "downstream";
    AddToxic("p", type, attributes, stream, 0.7);
    std::this_thread::sleep_for(Millis(2));
    const std::string path = Concat("/proxies/p/toxics/", type, "_", stream);
    EXPECT_EQ(Ask("PATCH", path, R"({"toxicity":0.5})").status, 200);
    EXPECT_EQ(Ask("DELETE", path).status, 204);
    std::this_thread::sleep_for(Millis(1));
    ++rounds;
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(rounds, 1);
  EXPECT_TRUE(got_up == up);
  EXPECT_TRUE(got_down == down);
}

}  // namespace
}  // namespace lab::proxy
