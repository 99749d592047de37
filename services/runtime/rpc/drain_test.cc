#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "services/runtime/rpc/test_support.h"

namespace lab::rpc {
namespace {

using testing::EchoServer;
using testing::kHold;
using testing::PlainClient;
using testing::StringValue;
using testing::WaitUntil;

TEST(DrainTest, EndsAtOnceWhenNothingIsInFlight) {
  EchoServer echo;
  PlainClient client(echo.target());
  ASSERT_TRUE(client.Echo("hello").ok());
  // A grace of an hour: it must not wait for it.
  EXPECT_TRUE(echo.Drain(std::chrono::hours(1)));
  EXPECT_EQ(client.Echo("too late").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST(DrainTest, DoesNotWaitForAClientThatIgnoresTheGoaway) {
  EchoServer echo;
  const int client = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(echo.port))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  // The preface of HTTP/2 and empty SETTINGS; then silence.
  const std::string hello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
  ASSERT_EQ(send(client, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
  char settings;
  ASSERT_EQ(recv(client, &settings, 1, 0), 1);  // the server has taken the connection
  EXPECT_TRUE(echo.Drain(std::chrono::hours(1)));
  close(client);
}

TEST(DrainTest, EndsWithoutAStart) {
  async::Loop loop;
  obs::Metrics metrics;
  obs::Tracer tracer;
  Server server(loop, {}, metrics, tracer);
  loop.Post([&] { server.Drain(Clock::now(), [&] { loop.Stop(); }); });
  loop.Run();
}

TEST(DrainTest, LetsCallsInFlightEnd) {
  EchoServer echo;
  std::thread caller([&] {
    StringValue message;
    EXPECT_TRUE(PlainClient(echo.target()).Call(kHold, message, &message).ok());
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  std::atomic<bool> done = false;
  echo.thread.loop.Post([&] { echo.server->Drain(Clock::now() + testing::kPatience, [&] { done = true; }); });
  ASSERT_TRUE(WaitUntil([&] { return !PlainClient(echo.target()).Echo("new").ok(); }));
  EXPECT_FALSE(done) << "a call is in flight";
  echo.Release();
  caller.join();
  EXPECT_TRUE(WaitUntil([&] { return done.load(); }));
}

TEST(DrainTest, CancelsAtItsDeadlineWhatIsNeverAnswered) {
  EchoServer echo;
  std::thread caller([&] {
    StringValue message;
    const auto code = PlainClient(echo.target()).Call(kHold, message, &message).error_code();
    EXPECT_TRUE(code == grpc::StatusCode::CANCELLED || code == grpc::StatusCode::UNAVAILABLE) << code;
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  EXPECT_TRUE(echo.Drain(Millis(50)));
  EXPECT_EQ(echo.in_flight(), 0);
  caller.join();
  echo.Release();  // an answer to a call that was given up is dropped
}

TEST(DrainTest, TheServerMayBeDestroyedByItsEnd) {
  EchoServer echo;
  ASSERT_TRUE(PlainClient(echo.target()).Echo("hello").ok());
  std::promise<void> done;
  echo.thread.loop.Post([&] {
    echo.server->Drain(Clock::now(), [&] {
      echo.server.reset();
      done.set_value();
    });
  });
  EXPECT_EQ(done.get_future().wait_for(testing::kPatience), std::future_status::ready);
}

TEST(DrainTest, DestroyingWithoutADrainCancels) {
  auto echo = std::make_unique<EchoServer>();
  const std::string target = echo->target();
  std::thread caller([&] {
    StringValue message;
    EXPECT_FALSE(PlainClient(target).Call(kHold, message, &message).ok());
  });
  ASSERT_TRUE(WaitUntil([&] { return echo->held_count() == 1; }));
  echo.reset();
  caller.join();
}

// What a handler captured is often a member that has gone already.
TEST(DrainTest, NoHandlerRunsInTheDestructor) {
  for (int round = 0; round < 20; ++round) {
    testing::LoopThread thread;
    obs::Metrics metrics;
    obs::Tracer tracer;
    auto server = std::make_unique<Server>(thread.loop, Server::Options{}, metrics, tracer);
    std::atomic<bool> ending = false;
    std::atomic<int> handled = 0, late = 0;
    server->Register(testing::kEcho, "test.echo", [&](Call call) {
      ++(ending ? late : handled);
      call.Reply(StringValue());
    });
    ASSERT_TRUE(server->Start().ok());
    const std::string target = "127.0.0.1:" + std::to_string(server->port());
    thread.Start();
    std::vector<std::thread> load;
    for (int t = 0; t < 4; ++t) {
      load.emplace_back([&] {
        PlainClient client(target);
        while (client.Echo("load").ok()) {
        }
      });
    }
    ASSERT_TRUE(WaitUntil([&] { return handled > 20; }));
    thread.Stop();
    std::this_thread::sleep_for(Millis(5));  // so that each client's next call waits in its socket
    ending = true;
    server.reset();
    for (auto& caller : load) caller.join();
    EXPECT_EQ(late, 0) << "round " << round;
  }
}

// The stop order is easy to get almost right: repeat it under load, with calls that are never answered among them.
TEST(DrainTest, EndsEveryTimeUnderLoad) {
  for (int round = 0; round < 30; ++round) {
    EchoServer echo;
    std::atomic<bool> stop = false;
    std::atomic<int> answered = 0;
    std::vector<std::thread> load;
    for (int t = 0; t < 3; ++t) {
      load.emplace_back([&, t] {
        PlainClient client(echo.target());
        StringValue message;
        while (!stop) {
          const grpc::Status status = t == 0 ? client.Call(kHold, message, &message) : client.Echo("load");
          if (!status.ok()) return;
          ++answered;
        }
      });
    }
    ASSERT_TRUE(WaitUntil([&] { return answered > 20 && echo.held_count() > 0; }));
    ASSERT_TRUE(echo.Drain(Millis(round % 3 * 10))) << "round " << round;
    EXPECT_EQ(echo.in_flight(), 0);
    stop = true;
    for (auto& thread : load) thread.join();
  }
}

}  // namespace
}  // namespace lab::rpc
