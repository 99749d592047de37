// HTTP/2 (gRPC, by our load generator) and RESP (pipelined, to a real Redis) through proxies with toxics.
#include "bench/load/testing/grpc_test_server.h"
#include "bench/load/testing/load_options.h"
#include "bench/observe/resp.h"
#include "bench/proxy/testing/proxy_fixture.h"
#include "services/runtime/redis/test_server.h"

namespace lab::proxy {
namespace {

constexpr char kTarget[] = "ratelimit.grpc";

class ProtocolsTest : public ApiTest {
 protected:
  // Toxics that neither drop nor close, on both streams.
  void MakeSlow(const std::string& proxy) {
    for (const char* stream : {"upstream", "downstream"}) {
      AddToxic(proxy, "latency", R"({"latency":4,"jitter":4})", stream);
      AddToxic(proxy, "slicer", R"({"average_size":40,"size_variation":30,"delay":10})", stream);
      AddToxic(proxy, "bandwidth", R"({"rate":2000})", stream);
    }
  }
};

TEST_F(ProtocolsTest, EveryGrpcCallIsAnswered) {
  bench::GrpcTestServer server([](const std::string&, const std::string&) {
    return bench::GrpcTestServer::Answer{bench::GrpcTestServer::Answer::Kind::kMessage, 0, std::string("\x08\x01", 2)};
  });
  const std::string endpoint = server.endpoint();
  const int port = MakeProxy("grpc", std::stoi(endpoint.substr(endpoint.find(':') + 1)));
  MakeSlow("grpc");
  bench::Generator generator(bench::TestOptions(kTarget, Concat("127.0.0.1:", port), 500, 1));
  const absl::Status connected = generator.Connect();
  ASSERT_TRUE(connected.ok()) << connected;
  const absl::Status ran = generator.Run();
  ASSERT_TRUE(ran.ok()) << ran;
  const std::vector<bench::Op> ops = generator.TakeOps();
  EXPECT_EQ(bench::Outcomes(ops)[bench::Outcome::kOk], ops.size());
  EXPECT_EQ(ops.size(), 500u);
  EXPECT_GE(server.received(), 500u);
}

TEST_F(ProtocolsTest, EveryRespReplyComesInItsOrder) {
  redis::TestServer redis;
  Peer client = Peer::Connect(MakeProxy("redis", redis.port()));
  MakeSlow("redis");
  constexpr int kCommands = 500;
  std::string commands, wanted;
  for (int i = 0; i < kCommands; ++i) {
    const std::string text = Concat("value-", i, std::string(static_cast<size_t>(i % 50), 'x'));
    commands += bench::FormatRespCommand({"ECHO", text});
    wanted += Concat("$", text.size(), "\r\n", text, "\r\n");
  }
  std::thread sender([&] { client.Send(commands); });
  EXPECT_EQ(client.Receive(wanted.size()), wanted);
  sender.join();
}

}  // namespace
}  // namespace lab::proxy
