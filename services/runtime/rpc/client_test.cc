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

// Clients on a loop of their own, as in a process that serves nothing.
class ClientTest : public ::testing::Test {
 protected:
  ClientTest() : tracer_({.sample_ratio = 1}), queue_(std::make_unique<Queue>(clients_.loop)) {}
  ~ClientTest() override {
    clients_.Stop();
    client_.reset();
  }
  void Start(const std::string& target) {
    client_ = std::make_unique<Client>(*queue_, target, tracer_, nullptr, MeteredAs{&metrics_, "echo"});
    clients_.Start();
  }
  absl::Status Call(const char* method, const std::string& text, Nanos timeout = testing::kPatience) {
    request_.set_value(text);
    std::promise<absl::Status> result;
    clients_.loop.Post([&, timeout] {
      client_->Call(method, request_, &reply_, Clock::now() + timeout, parent_,
                    [&](absl::Status status) { result.set_value(std::move(status)); });
    });
    return result.get_future().get();
  }

  bool MetricsShow(const std::string& line) { return metrics_.Text().find(line + "\n") != std::string::npos; }

  LoopThread clients_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  obs::TraceContext parent_;
  std::unique_ptr<Queue> queue_;
  std::unique_ptr<Client> client_;
  StringValue request_;
  StringValue reply_;
};

TEST_F(ClientTest, GetsTheReply) {
  EchoServer echo;
  Start(echo.target());
  EXPECT_TRUE(Call(kEcho, "hello").ok());
  EXPECT_EQ(reply_.value(), "hello");
}

TEST_F(ClientTest, GetsCodeAndTextOfAFailure) {
  EchoServer echo;
  Start(echo.target());
  EXPECT_EQ(Call(kEcho, "fail"), absl::AbortedError("told to fail"));
}

TEST_F(ClientTest, GivesUpAtItsDeadline) {
  EchoServer echo;
  Start(echo.target());
  EXPECT_EQ(Call(kHold, "", Millis(20)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Call(kHold, "", -Millis(20)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(Call(kEcho, "hello").ok());
}

TEST_F(ClientTest, IsUnavailableWhenNobodyListens) {
  std::string target;
  {
    EchoServer gone;
    target = gone.target();
  }
  Start(target);
  EXPECT_EQ(Call(kEcho, "hello").code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientTest, CountsCallsByHowTheyEnd) {
  auto echo = std::make_unique<EchoServer>();
  Start(echo->target());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Call(kEcho, "hello").ok());
  EXPECT_EQ(Call(kEcho, "fail").code(), absl::StatusCode::kAborted);
  EXPECT_EQ(Call(kHold, "", Millis(20)).code(), absl::StatusCode::kDeadlineExceeded);
  echo->thread.Stop();
  echo.reset();
  EXPECT_EQ(Call(kEcho, "hello").code(), absl::StatusCode::kUnavailable);
  for (const char* line :
       {"calls_total{client=\"echo\",outcome=\"ok\"} 3", "calls_total{client=\"echo\",outcome=\"error\"} 1",
        "calls_total{client=\"echo\",outcome=\"timeout\"} 1", "calls_total{client=\"echo\",outcome=\"unavailable\"} 1",
        "in_flight{client=\"echo\"} 0", "duration_seconds_count{client=\"echo\"} 6"}) {
    EXPECT_TRUE(MetricsShow(std::string("rpc_client_") + line)) << line << "\n" << metrics_.Text();
  }
}

// A neighbour that was away is called again within seconds, not minutes, of its return.
TEST_F(ClientTest, FindsAServerThatHasComeBack) {
  auto echo = std::make_unique<EchoServer>();
  const int port = echo->port;
  Start(echo->target());
  ASSERT_TRUE(Call(kEcho, "hello").ok());
  echo->thread.Stop();
  echo.reset();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(Call(kEcho, "hello").code(), absl::StatusCode::kUnavailable);
  EchoServer again({.port = port});
  ASSERT_TRUE(again.status.ok()) << again.status;
  EXPECT_TRUE(WaitUntil([&] { return Call(kEcho, "hello").ok(); }));
}

TEST_F(ClientTest, HandsTheTraceOn) {
  EchoServer echo({}, {.sample_ratio = 0});
  Start(echo.target());
  parent_ = obs::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  ASSERT_TRUE(Call(kEcho, "hello").ok());
  const auto client_spans = tracer_.Drain();
  const auto server_spans = echo.tracer.Drain();
  ASSERT_EQ(client_spans.size(), 1);
  ASSERT_EQ(server_spans.size(), 1);
  EXPECT_EQ(client_spans[0].name, kEcho);
  EXPECT_EQ(client_spans[0].kind, obs::SpanKind::kClient);
  EXPECT_EQ(client_spans[0].parent_span_id, parent_.span_id);
  EXPECT_EQ(server_spans[0].context.trace_id, parent_.trace_id);
  EXPECT_EQ(server_spans[0].parent_span_id, client_spans[0].context.span_id);
}

TEST_F(ClientTest, DestroyingItCancelsItsCalls) {
  EchoServer echo;
  Start(echo.target());
  absl::Status result;
  clients_.Do([&] {
    client_->Call(kHold, request_, &reply_, Clock::now() + testing::kPatience, parent_,
                  [&](absl::Status status) { result = std::move(status); });
  });
  ASSERT_TRUE(WaitUntil([&] { return echo.held_count() == 1; }));
  clients_.Do([&] { client_.reset(); });
  EXPECT_EQ(result.code(), absl::StatusCode::kCancelled);
}

TEST_F(ClientTest, MayShareTheQueueOfAServer) {
  EchoServer behind;
  EchoServer front;
  auto client =
      front.thread.Do([&] { return std::make_unique<Client>(front.server->queue(), behind.target(), front.tracer); });
  std::promise<absl::Status> result;
  front.thread.loop.Post([&] {
    client->Call(kEcho, request_, &reply_, Clock::now() + testing::kPatience, parent_,
                 [&](absl::Status status) { result.set_value(std::move(status)); });
  });
  EXPECT_TRUE(result.get_future().get().ok());
  front.thread.Do([&] { client.reset(); });
}

TEST_F(ClientTest, TenThousandCallsOverSeveralConnections) {
  constexpr int kClients = 12;  // more than are corked
  constexpr int kCalls = 10'000;
  constexpr int kOutstanding = 64;
  EchoServer echo;
  Start(echo.target());
  struct Slot {
    StringValue request, reply;
  };
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Slot> slots(kOutstanding);
  int issued = 0, wrong = 0, left = kCalls;
  std::promise<void> done;
  std::function<void(Slot&)> next = [&](Slot& slot) {
    if (issued == kCalls) return;
    slot.request.set_value(std::to_string(issued));
    Client& client = *clients[issued++ % kClients];
    client.Call(kEcho, slot.request, &slot.reply, Clock::now() + testing::kPatience, parent_, [&](absl::Status status) {
      if (!status.ok() || slot.reply.value() != slot.request.value()) ++wrong;
      if (--left == 0) done.set_value();
      next(slot);
    });
  };
  clients_.Do([&] {
    for (int i = 0; i < kClients; ++i) clients.push_back(std::make_unique<Client>(*queue_, echo.target(), tracer_));
    for (Slot& slot : slots) next(slot);
  });
  ASSERT_EQ(done.get_future().wait_for(testing::kPatience * 3), std::future_status::ready);
  clients_.Do([&] { clients.clear(); });
  EXPECT_EQ(wrong, 0);
  EXPECT_TRUE(WaitUntil([&] { return echo.MetricsShow("rpc_server_calls_total{code=\"OK\"} 10000"); }));
}

}  // namespace
}  // namespace lab::rpc
