#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/runtime/base/random.h"
#include "services/runtime/redis/client_fixture.h"

namespace lab::redis {
namespace {

using async::Breaker;
using ::testing::HasSubstr;

class ClientOutageTest : public ClientTest {};

TEST_F(ClientOutageTest, DeadlinePassesAndTheStreamStaysInStep) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(30);
  options.breaker.failures = 1000;
  options.breaker.ratio = 1;
  Connected(options);
  server_->Pause();
  const auto start = Clock::now();
  for (int i = 0; i < 10; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 10);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_GE(Clock::now() - start, Millis(30));
  EXPECT_LT(Clock::now() - start, Millis(1000)) << "generous: the server stays paused far longer";
  EXPECT_EQ(Metric("redis_outstanding"), 10) << "expired operations count until their answer";
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 10; }));
  texts_.clear();
  ASSERT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kOk);
  EXPECT_THAT(texts_, ::testing::ElementsAre("11")) << "its own answer, not one of the ten late ones";
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"timeout\"}"), 10);
}

TEST_F(ClientOutageTest, WithoutADeadlineItWaits) {
  StartServer();
  Options options = Defaults();
  options.deadline = Nanos(0);
  Connected(options);
  server_->Pause();
  Issue({"PING"});
  RunFor(Millis(100));
  EXPECT_EQ(ended_, 0);
  server_->Continue();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 1);
}

TEST_F(ClientOutageTest, OutstandingIsBoundedWhileTheServerIsStopped) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.max_outstanding = 64;
  options.breaker.failures = 1'000'000;
  options.breaker.ratio = 1;
  Connected(options);
  server_->Pause();
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 100; ++i) Issue({"PING"});
    ASSERT_TRUE(AllEnded());
  }
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 64);
  EXPECT_EQ(Ended(absl::StatusCode::kResourceExhausted), 236);
  EXPECT_EQ(Metric("redis_outstanding"), 64);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"rejected\"}"), 236);
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_outstanding") == 0; }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientOutageTest, BreakerOpensRejectsAtOnceAndClosesByItsOwnProbe) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.breaker.failures = 5;
  options.breaker.open_for = Millis(50);
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 5; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  EXPECT_NE(client.breaker_state(), Breaker::State::kClosed);
  Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 1);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_breaker_state") == 1; })) << "the first probe expired";
  EXPECT_EQ(client.breaker_state(), Breaker::State::kOpen);
  const double commands = Metric("redis_commands_total");
  ASSERT_TRUE(RunUntil([&] { return Metric("redis_commands_total") >= commands + 2; })) << "one probe after another";
  server_->Continue();
  // No call of a user is needed.
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
  EXPECT_EQ(Metric("redis_breaker_state"), 0);
  EXPECT_EQ(Outcome({"INCR", "counter"}), absl::StatusCode::kOk);
  EXPECT_EQ(server_->Command({"GET", "counter"}), "6") << "the rejected call was never sent";
}

TEST_F(ClientOutageTest, ALateAnswerToAProbeIsNoticedAtOnce) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.breaker.failures = 5;
  options.breaker.open_for = std::chrono::hours(1);
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 5; ++i) Issue({"PING"});
  ASSERT_TRUE(AllEnded());
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kOpen; }));
  server_->Continue();
  EXPECT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
}

TEST_F(ClientOutageTest, KillAbortsWhatIsOutstandingAndARestartReconnects) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(5000);
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 50; ++i) Issue({"INCR", "counter"});
  RunFor(Millis(20));  // sent
  server_->Kill();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 50);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  RunFor(Millis(100));  // attempts that fail
  server_->Start();
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(client.breaker_state(), Breaker::State::kClosed) << "the handshake was the probe";
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
  EXPECT_EQ(Metric("redis_reconnects_total"), 1);
  EXPECT_EQ(Metric("redis_operations_total{outcome=\"lost\"}"), 50);
}

TEST_F(ClientOutageTest, AConnectionThatOwesAnswersForTooLongIsReplaced) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  options.breaker.failures = 5;
  Client& client = Connected(options);
  server_->Pause();
  for (int i = 0; i < 20; ++i) Issue({"INCR", "counter"});
  ASSERT_TRUE(AllEnded());
  ASSERT_TRUE(RunUntil([&] { return !client.connected(); })) << "noticed by the probes";
  EXPECT_EQ(Metric("redis_outstanding"), 0);
  server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
  EXPECT_EQ(server_->Command({"GET", "counter"}), "20") << "what was sent before is still executed";
}

TEST_F(ClientOutageTest, AnExpiredScriptCallIsNotSentAgain) {
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(20);
  Connected(options);
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  server_->Pause();
  IssueEval(script, "sum", "1");
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 1);
  server_->Continue();
  ASSERT_TRUE(RunUntil([this] { return Metric("redis_late_replies_total") == 1; }));
  RunFor(Millis(20));
  EXPECT_EQ(server_->Command({"GET", "sum"}), "(nil)");
}

TEST_F(ClientOutageTest, AServerThatOnlyRefusesOpensTheBreaker) {
  StartServer();
  Options options = Defaults();
  options.breaker.failures = 5;
  options.breaker.open_for = Millis(200);
  Client& client = Connected(options);
  server_->Command({"CONFIG", "SET", "maxmemory", "1"});
  for (int i = 0; i < 5; ++i) Issue({"NO-SUCH-COMMAND"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(client.breaker_state(), Breaker::State::kClosed) << "a bad command is our fault, not the store's";
  for (int i = 0; i < 5; ++i) Issue({"SET", "a", "b"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(client.breaker_state(), Breaker::State::kOpen) << "a PING would pass, so it waits";
  EXPECT_EQ(Outcome({"SET", "a", "b"}), absl::StatusCode::kUnavailable);
  server_->Command({"CONFIG", "SET", "maxmemory", "0"});
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
  EXPECT_EQ(Outcome({"SET", "a", "b"}), absl::StatusCode::kOk);
}

TEST_F(ClientOutageTest, CloseEndsEverythingOnce) {
  StartServer();
  Client& client = Connected();
  server_->Pause();
  for (int i = 0; i < 30; ++i) Issue({"PING"});
  RunFor(Millis(5));
  for (int i = 0; i < 30; ++i) Issue({"PING"});  // appended, not yet written
  client.Close();
  EXPECT_EQ(ended_, 60);
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 60);
  server_->Continue();
  RunFor(Millis(20));
  EXPECT_EQ(ended_, 60);
  EXPECT_FALSE(client.connected());
}

TEST_F(ClientOutageTest, CloseFromACallbackEndsTheRest) {
  StartServer();
  Client& client = Connected();
  bool closed = false;
  const std::string_view arguments[] = {"PING"};
  client.Command(arguments, [&](absl::StatusOr<Reply> reply) {
    EXPECT_TRUE(reply.ok());
    client.Close();
    closed = true;
    EXPECT_EQ(ended_, 10);
  });
  for (int i = 0; i < 10; ++i) Issue({"PING"});
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 10);
}

// What the codes promise: OK happened, UNAVAILABLE and RESOURCE_EXHAUSTED did not, the others may have. Through pauses,
// cut connections and forgotten scripts the server's counter must lie between those bounds, and every call ends once.
TEST_F(ClientOutageTest, OutcomesTellTheTruthThroughRandomFaults) {
  const uint64_t seed = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  StartServer();
  Options options = Defaults();
  options.deadline = Millis(5);
  options.max_outstanding = 128;
  options.connections = 2;
  options.breaker.open_for = Millis(10);
  options.reconnect_max = Millis(20);
  Client& client = Connected(options);
  const Script script("return redis.call('INCRBY', KEYS[1], ARGV[1])");
  bool paused = false;
  for (int round = 0; round < 300; ++round) {
    const uint64_t fault = random.Below(10);
    if (fault == 0) server_->Pause();
    if (fault == 1) server_->Continue();
    if (fault <= 1) paused = fault == 0;
    if (fault == 2 && !paused) server_->Command({"CLIENT", "KILL", "TYPE", "normal"});
    if (fault == 3 && !paused) server_->Command({"SCRIPT", "FLUSH"});
    for (uint64_t i = random.Below(60); i > 0; --i) {
      if (random.Below(2) == 0) {
        Issue({"INCR", "counter"});
      } else {
        IssueEval(script, "counter", "1");
      }
    }
    RunFor(Micros(random.Below(4000)));
  }
  server_->Continue();
  ASSERT_TRUE(AllEnded());
  ASSERT_TRUE(RunUntil([&] { return client.connected() && Metric("redis_outstanding") == 0; }));
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);

  const int ok = Ended(absl::StatusCode::kOk) - 1;
  const int unknown = Ended(absl::StatusCode::kDeadlineExceeded) + Ended(absl::StatusCode::kAborted);
  const int unsent = Ended(absl::StatusCode::kUnavailable) + Ended(absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ok + 1 + unknown + unsent, issued_);
  EXPECT_GT(ok, 0);
  EXPECT_GT(unknown, 0);
  EXPECT_GT(unsent, 0);
  const int counter = std::stoi(server_->Command({"GET", "counter"}));
  EXPECT_GE(counter, ok);
  EXPECT_LE(counter, ok + unknown);
}

TEST_F(ClientOutageTest, AClusterIsRefusedInPlainWords) {
  StartServer({"--cluster-enabled", "yes"});
  Client& client = MakeClient(Defaults());
  std::optional<absl::Status> ready;
  client.WhenReady([&](absl::Status status) { ready = status; });
  ASSERT_TRUE(RunUntil([&] { return ready.has_value(); }));
  EXPECT_EQ(ready->code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(ready->message()), HasSubstr("cluster mode"));
  EXPECT_EQ(client.refusal(), *ready);
  EXPECT_FALSE(client.connected());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(texts_.back(), HasSubstr("cluster mode"));
}

TEST_F(ClientOutageTest, PasswordIsAskedForAndUsed) {
  StartServer({"--requirepass", "secret"});
  Client& without = MakeClient(Defaults());
  ASSERT_TRUE(RunUntil([&] { return !without.refusal().ok(); }));
  EXPECT_THAT(std::string(without.refusal().message()), HasSubstr("wants a password"));

  Options options = Defaults();
  options.password = "wrong-guess";
  Client& wrong = MakeClient(options);
  ASSERT_TRUE(RunUntil([&] { return !wrong.refusal().ok(); }));
  EXPECT_THAT(std::string(wrong.refusal().message()), HasSubstr("refused the password"));
  EXPECT_THAT(std::string(wrong.refusal().message()), Not(HasSubstr("wrong-guess")));

  options.password = "secret";
  Connected(options);
  EXPECT_TRUE(client_->refusal().ok());
  EXPECT_EQ(Outcome({"PING"}), absl::StatusCode::kOk);
}

TEST_F(ClientOutageTest, WhenReadyCallsBackOnceWhateverHappens) {
  StartServer();
  Client& client = MakeClient(Defaults());
  std::vector<absl::StatusCode> codes;
  auto record = [&](absl::Status status) { codes.push_back(status.code()); };
  client.WhenReady(record);
  EXPECT_TRUE(codes.empty());
  ASSERT_TRUE(RunUntil([&] { return codes.size() == 1; }));
  client.WhenReady(record);  // already connected
  ASSERT_TRUE(RunUntil([&] { return codes.size() == 2; }));
  EXPECT_THAT(codes, ::testing::Each(absl::StatusCode::kOk));

  server_->Kill();
  Client& nowhere = MakeClient(Defaults());
  nowhere.WhenReady(record);
  RunFor(Millis(30));
  EXPECT_EQ(codes.size(), 2u);
  nowhere.Close();
  ASSERT_EQ(codes.size(), 3u);
  EXPECT_EQ(codes[2], absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace lab::redis
