#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/runtime/failpoint/controller.h"
#include "services/runtime/redis/client_fixture.h"
#include "services/runtime/redis/owned_reply.h"

namespace lab::redis {
namespace {

using ::testing::ElementsAre;

class FailpointsTest : public ClientTest {
 protected:
  FailpointsTest() { StartServer(); }

  Client& ConnectedWithFailpoints(Options options = Defaults()) {
    options.port = server_->port();
    Client& client = client_.emplace(loop_, std::move(options), metrics_, &failpoints_);
    EXPECT_TRUE(RunUntil([&] { return client.connected(); }));
    return client;
  }
  static Options ShortDeadline() {
    Options options = Defaults();
    options.deadline = Millis(40);
    options.breaker.failures = 1'000'000;
    options.breaker.ratio = 1;
    return options;
  }
  void Arm(const std::string& name, std::string_view text) {
    const failpoint::Point& point = **failpoint::FindPoint(name);
    const absl::StatusOr<failpoint::Spec> spec = failpoint::ParseSpecText(point, text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    failpoints_.Arm(point, *spec);
  }
  std::string Counter() { return server_->Command({"GET", "counter"}); }

  failpoint::Controller failpoints_{loop_, metrics_, 1};
  const Script incrby_{"return redis.call('INCRBY', KEYS[1], ARGV[1])", "incrby"};
};

TEST_F(FailpointsTest, AnErrorIsDefiniteAndNothingIsSent) {
  ConnectedWithFailpoints();
  Arm("redis.command.before", "error times=1");
  EXPECT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  EXPECT_EQ(Counter(), "(nil)");
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"rejected\"}"), 1);
  EXPECT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kOk);
  EXPECT_EQ(Counter(), "1");
  EXPECT_EQ(Metric("redis_outstanding"), 0);
}

TEST_F(FailpointsTest, AnErrorDoesNotOpenTheBreaker) {
  Client& client = ConnectedWithFailpoints();
  Arm("redis.command.before", "error times=100");
  for (int i = 0; i < 100; ++i) Issue({"PING"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 100);
  EXPECT_EQ(client.breaker_state(), async::Breaker::State::kClosed) << "what was not sent says nothing about Redis";
}

TEST_F(FailpointsTest, ApplyThenTimeoutTakesEffectAndIsUnknown) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("redis.command.after", "apply-then-timeout times=3");
  const auto start = Clock::now();
  for (int i = 0; i < 3; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  EXPECT_GE(Clock::now() - start, Millis(40)) << "as when the answer is lost, not before";
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 3);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_EQ(Counter(), "3");
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"timeout\"}"), 3);
  ASSERT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kOk);
  EXPECT_EQ(texts_.back(), "4");
  EXPECT_EQ(Metric("redis_outstanding"), 0) << "nothing is owed";
}

TEST_F(FailpointsTest, ApplyThenTimeoutOpensTheBreakerLikeALostAnswer) {
  Options options = ShortDeadline();
  options.breaker = {};
  options.breaker.failures = 5;
  Client& client = ConnectedWithFailpoints(options);
  Arm("redis.command.after", "apply-then-timeout times=5");
  for (int i = 0; i < 5; ++i) Issue({"PING"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"timeout\"}"), 5);
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == async::Breaker::State::kClosed; }))
      << "the client's probes do not come to failpoints";
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(FailpointsTest, ADelayBeforeHoldsTheOperationNotTheThread) {
  ConnectedWithFailpoints();
  Arm("redis.command.before", "delay delay=60ms operation=INCR");
  const auto start = Clock::now();
  Issue({"INCR", "counter"});
  ASSERT_EQ(Outcome({"SET", "other", "1"}), absl::StatusCode::kOk);  // ends when all have
  EXPECT_GE(Clock::now() - start, Millis(60));
  ASSERT_EQ(texts_.size(), 2u);
  EXPECT_THAT(texts_, ElementsAre("OK", "1")) << "the one that is not held was answered first";
}

TEST_F(FailpointsTest, ADelayBeyondTheDeadlineTakesEffectLate) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("redis.script.before", "delay delay=120ms times=2");
  IssueEval(incrby_, "counter", "5");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 1);
  EXPECT_EQ(Counter(), "(nil)");
  EXPECT_EQ(Metric("redis_outstanding"), 1);
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 1; }));
  // The first call of a script meets NOSCRIPT, and an expired call is not sent again.
  IssueEval(incrby_, "counter", "1");
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 2; }));
  IssueEval(incrby_, "counter", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 1);
  const std::string before = Counter();
  Arm("redis.script.before", "delay delay=120ms times=1");
  IssueEval(incrby_, "counter", "10");
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 3; }));
  EXPECT_EQ(Counter(), std::to_string(std::stoi(before) + 10)) << "it was sent after its caller had given up";
  EXPECT_EQ(Metric("redis_outstanding"), 0);
}

TEST_F(FailpointsTest, ADelayAfterHoldsTheAnswerAndKeepsItWhole) {
  ConnectedWithFailpoints();
  server_->Command({"RPUSH", "list", "one", "two"});
  Arm("redis.command.after", "delay delay=50ms");
  const auto start = Clock::now();
  std::vector<std::string> got;
  const std::string_view arguments[] = {"LRANGE", "list", "0", "-1"};
  client_->Command(arguments, [&](absl::StatusOr<Reply> reply) {
    ASSERT_TRUE(reply.ok()) << reply.status();
    for (size_t i = 0; i < reply->size(); ++i) got.emplace_back((*reply)[i].text());
  });
  ASSERT_TRUE(RunUntil([&] { return !got.empty(); }));
  EXPECT_THAT(got, ElementsAre("one", "two"));
  EXPECT_GE(Clock::now() - start, Millis(50));
}

TEST_F(FailpointsTest, ADelayAfterBeyondTheDeadlineIsUnknown) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("redis.command.after", "delay delay=120ms times=1");
  EXPECT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Counter(), "1");
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 1; }));
  EXPECT_EQ(Metric("redis_outstanding"), 0);
}

TEST_F(FailpointsTest, AScriptIsMeantByItsName) {
  ConnectedWithFailpoints();
  Arm("redis.script.before", "error operation=other");
  IssueEval(incrby_, "counter", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 1);
  Arm("redis.script.before", "error operation=incrby");
  IssueEval(incrby_, "counter", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 1);
}

TEST_F(FailpointsTest, AHeldOperationOutlivesItsConnection) {
  Client& client = ConnectedWithFailpoints();
  Arm("redis.command.before", "delay delay=100ms times=1");
  Issue({"INCR", "counter"});
  RunFor(Millis(5));
  server_->Command({"CLIENT", "KILL", "TYPE", "normal"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(ended_, 1) << "sent on the new connection, or told that there is none";
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
  EXPECT_EQ(Metric("redis_outstanding"), 0);
}

TEST_F(FailpointsTest, CloseEndsWhatIsHeld) {
  Client& client = ConnectedWithFailpoints();
  Arm("redis.command.before", "delay delay=1h times=1");
  Issue({"INCR", "counter"});
  Arm("redis.command.after", "delay delay=1h times=1");
  Issue({"INCR", "counter"});
  ASSERT_TRUE(
      RunUntil([this] { return Metric("failpoint_hits_total{action=\"delay\",point=\"redis.command.after\"}") == 1; }));
  EXPECT_EQ(ended_, 0);
  client.Close();
  EXPECT_EQ(ended_, 2);
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 2);
  RunFor(Millis(10));
  EXPECT_EQ(ended_, 2);
}

TEST(OwnedReplyTest, CopiesWhatIsNested) {
  char text[] = "text";
  redisReply string{}, number{}, inner{}, outer{};
  string.type = REDIS_REPLY_STRING, string.str = text, string.len = 4;
  number.type = REDIS_REPLY_INTEGER, number.integer = -7;
  redisReply* inner_elements[] = {&string};
  inner.type = REDIS_REPLY_ARRAY, inner.elements = 1, inner.element = inner_elements;
  redisReply* outer_elements[] = {&inner, &number};
  outer.type = REDIS_REPLY_ARRAY, outer.elements = 2, outer.element = outer_elements;
  const OwnedReply copy(&outer);
  text[0] = 'X';
  number.integer = 0;
  const Reply reply(copy.get());
  ASSERT_EQ(reply.size(), 2u);
  ASSERT_EQ(reply[0].size(), 1u);
  EXPECT_EQ(reply[0][0].text(), "text");
  EXPECT_EQ(reply[1].integer(), -7);
}

}  // namespace
}  // namespace lab::redis
