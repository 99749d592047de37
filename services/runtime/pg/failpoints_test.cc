#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/failpoint/controller.h"
#include "services/runtime/pg/client_fixture.h"

namespace lab::pg {
namespace {

using ::testing::ElementsAre;

class FailpointsTest : public TransactionTest {
 protected:
  static Options OneConnection() {
    Options options = Defaults();
    options.connections = 1;
    return options;
  }
  static Options ShortDeadline() {
    Options options = OneConnection();
    options.deadline = Millis(150);
    options.breaker.failures = 1'000'000;
    options.breaker.ratio = 1;
    return options;
  }
  Client& ConnectedWithFailpoints(Options options = OneConnection()) {
    options.port = server_->port();
    options.user = server_->user();
    options.database = server_->database();
    Client& client = client_.emplace(loop_, std::move(options), metrics_, &failpoints_);
    EXPECT_TRUE(RunUntil([&] { return client.connected(); }));
    return client;
  }
  void Arm(const std::string& name, std::string_view text) {
    const failpoint::Point& point = **failpoint::FindPoint(name);
    const absl::StatusOr<failpoint::Spec> spec = failpoint::ParseSpecText(point, text);
    ASSERT_TRUE(spec.ok()) << spec.status();
    failpoints_.Arm(point, *spec);
  }
  void Disarm(const std::string& name) { failpoints_.Disarm(**failpoint::FindPoint(name)); }
  double Hits(const std::string& point, const std::string& action) {
    return Metric("failpoint_hits_total{action=\"" + action + "\",point=\"" + point + "\"}");
  }
  double Ends(const std::string& outcome) {
    return Metric("pg_operations_total{outcome=\"" + outcome + "\",pool=\"pg\"}");
  }
  static std::string N(const std::string& key = "a") {
    return server_->Query("SELECT n FROM counter WHERE key = '" + key + "'");
  }
  static std::string Open() {
    return server_->Admin(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg' AND xact_start IS NOT NULL");
  }
  // One with a row of its own, up to its COMMIT.
  std::unique_ptr<Transaction> Adding(const std::string& key = "a") {
    std::unique_ptr<Transaction> transaction = Begun();
    if (transaction == nullptr) return nullptr;
    EXPECT_EQ(In(*transaction, add_, {key, 1}), absl::StatusCode::kOk);
    return transaction;
  }

  failpoint::Controller failpoints_{loop_, metrics_, 1};
};

TEST_F(FailpointsTest, AnErrorIsDefiniteAndNothingIsSent) {
  Client& client = ConnectedWithFailpoints();
  Arm("pg.commit.before", "error times=30");
  for (int i = 0; i < 30; ++i) Issue(add_, {"a", 1});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kUnavailable), 30);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  EXPECT_EQ(N(), "");
  EXPECT_EQ(Ends("rejected"), 30);
  EXPECT_EQ(client.breaker_state(), async::Breaker::State::kClosed) << "what was not sent says nothing";
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kOk);
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0);
}

TEST_F(FailpointsTest, ReadsAndWritesHaveTheirOwn) {
  Options options = OneConnection();
  options.read_only = true;
  ConnectedWithFailpoints(options);
  Arm("pg.commit.before", "error");
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  Arm("pg.read.before", "error operation=read times=1");
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kUnavailable);
}

TEST_F(FailpointsTest, ApplyThenTimeoutTakesEffectAndIsUnknown) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.after", "apply-then-timeout times=1");
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(N(), "1");
  EXPECT_EQ(Ends("timeout"), 1);
  EXPECT_EQ(Outcome(raise_, {"a"}), absl::StatusCode::kOk);
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0) << "nothing is owed";
}

TEST_F(FailpointsTest, ADelayBeforeHoldsTheOperationNotTheThread) {
  ConnectedWithFailpoints();
  ASSERT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kOk);
  texts_.clear();
  const Statement returning("returning", "UPDATE counter SET n = n + 1 WHERE key = $1 RETURNING 'held'");
  Arm("pg.commit.before", "delay delay=60ms operation=returning");
  Issue(returning, {"a"});
  Issue(read_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_THAT(texts_, ElementsAre("1", "held")) << "the one that is not held was answered first";
}

// What is sent late takes effect, so its caller must not be told that it did not.
TEST_F(FailpointsTest, ADelayBeyondTheDeadlineIsUnknownAndTakesEffectLate) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.before", "delay delay=300ms times=1");
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  EXPECT_EQ(N(), "");
  EXPECT_EQ(PoolMetric("pg_outstanding"), 1);
  ASSERT_TRUE(RunUntil([this] { return PoolMetric("pg_late_results_total") == 1; }));
  EXPECT_EQ(N(), "1");
  EXPECT_EQ(Outcome(raise_, {"a"}), absl::StatusCode::kOk);
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0);
}

TEST_F(FailpointsTest, ADelayAfterBeyondTheDeadlineIsUnknown) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.after", "delay delay=300ms times=1");
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(N(), "1");
  ASSERT_TRUE(RunUntil([this] { return PoolMetric("pg_late_results_total") == 1; }));
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0);
}

TEST_F(FailpointsTest, AnErrorBeforeTheCommitOfATransactionRollsItBack) {
  ConnectedWithFailpoints();
  Arm("pg.commit.before", "error operation=commit times=1");
  const auto transaction = Adding();
  ASSERT_NE(transaction, nullptr);
  const absl::Status status = Commit(*transaction);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(OutcomeUnknown(status));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk) << "its connection is free again";
  EXPECT_EQ(texts_.back(), "");
  EXPECT_EQ(PoolMetric("pg_reconnects_total"), 0);
  const auto next = Adding();
  ASSERT_NE(next, nullptr);
  EXPECT_TRUE(Commit(*next).ok());
  EXPECT_EQ(N(), "1");
}

// Only its COMMIT comes to a failpoint: there are no two words for what has begun or been written.
TEST_F(FailpointsTest, WhatATransactionDoesBeforeItsCommitPasses) {
  ConnectedWithFailpoints();
  Arm("pg.commit.before", "error");
  Arm("pg.commit.after", "apply-then-timeout");
  const auto transaction = Adding();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(Hits("pg.commit.before", "error"), 0);
  EXPECT_EQ(Hits("pg.commit.after", "apply-then-timeout"), 0);
}

TEST_F(FailpointsTest, ApplyThenTimeoutOfACommitLeavesNoConnectionBehind) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.after", "apply-then-timeout");
  for (const char* key : {"a", "b", "c"}) {
    const auto transaction = Adding(key);
    ASSERT_NE(transaction, nullptr) << "the only connection is free again";
    const absl::Status status = Commit(*transaction);
    EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(N(key), "1");
  }
  Disarm("pg.commit.after");
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  EXPECT_EQ(Open(), "0");
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0);
  EXPECT_EQ(PoolMetric("pg_reconnects_total"), 0);
}

TEST_F(FailpointsTest, ADelayedCommitTakesEffectLate) {
  ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.before", "delay delay=300ms times=1");
  const auto transaction = Adding();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(Commit(*transaction).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(N(), "");
  ASSERT_TRUE(RunUntil([this] { return PoolMetric("pg_late_results_total") == 1; }));
  EXPECT_EQ(N(), "1");
  const auto next = Adding("b");
  ASSERT_NE(next, nullptr) << "the only connection is free again";
  EXPECT_TRUE(Commit(*next).ok());
  EXPECT_EQ(PoolMetric("pg_reconnects_total"), 0);
}

TEST_F(FailpointsTest, ADelayedCommitIsLostWithItsConnection) {
  Client& client = ConnectedWithFailpoints(ShortDeadline());
  Arm("pg.commit.before", "delay delay=300ms times=1");
  const auto transaction = Adding();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(Commit(*transaction).code(), absl::StatusCode::kDeadlineExceeded);
  server_->Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg'");
  ASSERT_TRUE(RunUntil([this] { return PoolMetric("pg_late_results_total") == 1; }));
  EXPECT_EQ(N(), "");
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  EXPECT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kOk);
  EXPECT_EQ(PoolMetric("pg_outstanding"), 0);
}

TEST_F(FailpointsTest, WhatRollsBackIsNoCommit) {
  ConnectedWithFailpoints();
  Arm("pg.commit.after", "apply-then-timeout");
  const auto transaction = Adding();
  ASSERT_NE(transaction, nullptr);
  EXPECT_EQ(In(*transaction, add_, {"a", 2}), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Commit(*transaction).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Hits("pg.commit.after", "apply-then-timeout"), 0);
}

TEST_F(FailpointsTest, CloseEndsWhatIsHeld) {
  Client& client = ConnectedWithFailpoints();
  Arm("pg.commit.before", "delay delay=1h times=1");
  Issue(add_, {"a", 1});
  Arm("pg.commit.after", "delay delay=1h times=1");
  Issue(add_, {"b", 1});
  ASSERT_TRUE(RunUntil([this] { return Hits("pg.commit.after", "delay") == 1; }));
  EXPECT_EQ(ended_, 0);
  client.Close();
  EXPECT_EQ(ended_, 2);
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 2);
  RunFor(Millis(10));
  EXPECT_EQ(ended_, 2);
}

}  // namespace
}  // namespace lab::pg
