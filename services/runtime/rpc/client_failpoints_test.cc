#include "services/runtime/failpoint/controller.h"
#include "services/runtime/rpc/client.h"
#include "services/runtime/rpc/queue.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::rpc {
namespace {

using testing::EchoServer;
using testing::kEcho;
using testing::kHold;
using testing::LoopThread;
using testing::StringValue;
using testing::WaitUntil;

class ClientFailpointsTest : public ::testing::Test {
 protected:
  ClientFailpointsTest()
      : failpoints_(clients_.loop, metrics_, 1),
        queue_(std::make_unique<Queue>(clients_.loop)),
        client_(std::make_unique<Client>(*queue_, echo_.target(), tracer_, &failpoints_)) {
    clients_.Start();
  }
  ~ClientFailpointsTest() override {
    clients_.Stop();
    client_.reset();
  }
  void Arm(const std::string& name, std::string_view text) {
    clients_.Do([&] {
      const failpoint::Point& point = **failpoint::FindPoint(name);
      failpoints_.Arm(point, *failpoint::ParseSpecText(point, text));
    });
  }
  absl::Status Call(const char* method, const std::string& text, Nanos timeout = testing::kPatience) {
    request_.set_value(text);
    reply_.Clear();
    std::promise<absl::Status> result;
    clients_.loop.Post([&, timeout] {
      client_->Call(method, request_, &reply_, Clock::now() + timeout, {},
                    [&](absl::Status status) { result.set_value(std::move(status)); });
    });
    return result.get_future().get();
  }
  // What the server has answered with OK.
  bool ServerAnswered(int calls) {
    return echo_.MetricsShow("rpc_server_calls_total{code=\"OK\"} " + std::to_string(calls));
  }

  EchoServer echo_;
  LoopThread clients_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  failpoint::Controller failpoints_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Client> client_;
  StringValue request_;
  StringValue reply_;
};

TEST_F(ClientFailpointsTest, AnErrorIsNeverSent) {
  Arm("rpc.call.before", "error times=1");
  EXPECT_EQ(Call(kEcho, "one").code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(Call(kEcho, "two").ok());
  EXPECT_EQ(reply_.value(), "two");
  EXPECT_TRUE(WaitUntil([&] { return ServerAnswered(1); })) << "only the second came";
}

TEST_F(ClientFailpointsTest, ApplyThenTimeoutIsAnsweredByTheServerAndUnknownToTheCaller) {
  Arm("rpc.call.after", "apply-then-timeout times=1");
  EXPECT_EQ(Call(kEcho, "one", Millis(300)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(reply_.value(), "");
  EXPECT_TRUE(WaitUntil([&] { return ServerAnswered(1); }));
  EXPECT_TRUE(Call(kEcho, "two").ok());
}

TEST_F(ClientFailpointsTest, ADelayEndsWithTheAnswer) {
  for (const char* point : {"rpc.call.before", "rpc.call.after"}) {
    Arm(point, "delay delay=60ms times=1");
    const auto start = Clock::now();
    EXPECT_TRUE(Call(kEcho, "late").ok());
    EXPECT_GE(Clock::now() - start, Millis(60)) << point;
    EXPECT_EQ(reply_.value(), "late");
  }
}

TEST_F(ClientFailpointsTest, ADelayBeyondTheDeadlineIsDeadlineExceeded) {
  for (const char* point : {"rpc.call.before", "rpc.call.after"}) {
    Arm(point, "delay delay=1h times=1");
    EXPECT_EQ(Call(kEcho, "late", Millis(100)).code(), absl::StatusCode::kDeadlineExceeded) << point;
  }
  EXPECT_TRUE(WaitUntil([&] { return ServerAnswered(1); })) << "only the one whose answer was held";
}

TEST_F(ClientFailpointsTest, ADelayHoldsTheCallNotTheThread) {
  Arm("rpc.call.before", std::string("delay delay=1h operation=") + kHold);
  clients_.Do([&] {
    client_->Call(kHold, request_, &reply_, Clock::now() + testing::kPatience, {}, [](const absl::Status&) {});
  });
  StringValue reply;
  std::promise<absl::Status> result;
  clients_.loop.Post([&] {
    client_->Call(kEcho, request_, &reply, Clock::now() + testing::kPatience, {},
                  [&](absl::Status status) { result.set_value(std::move(status)); });
  });
  EXPECT_TRUE(result.get_future().get().ok());
}

TEST_F(ClientFailpointsTest, DestroyingTheClientEndsWhatIsHeld) {
  int cancelled = 0;
  StringValue replies[2];
  Arm("rpc.call.before", std::string("delay delay=1h operation=") + kHold);
  Arm("rpc.call.after", "apply-then-timeout");
  clients_.Do([&] {
    for (int i = 0; i < 2; ++i) {
      client_->Call(i == 0 ? kHold : kEcho, request_, &replies[i], Clock::now() + testing::kPatience, {},
                    [&](const absl::Status& status) { cancelled += absl::IsCancelled(status) ? 1 : 0; });
    }
  });
  ASSERT_TRUE(WaitUntil([&] { return ServerAnswered(1); }));
  clients_.Do([&] { client_.reset(); });
  EXPECT_EQ(cancelled, 2);
}

}  // namespace
}  // namespace lab::rpc
