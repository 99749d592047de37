#include "services/runtime/base/random.h"
#include "services/runtime/pg/client_fixture.h"

namespace lab::pg {
namespace {

using async::Breaker;
using ::testing::HasSubstr;

class ClientOutageTest : public ClientTest {
 protected:
  void TearDown() override {
    if (server_ != nullptr) server_->Continue();
  }
  const Statement sleep_{"sleep", "SELECT pg_sleep(30)"};
};

TEST_F(ClientOutageTest, AStatementThatTakesTooLongIsEndedOnBothSides) {
  Options options = Defaults();
  options.connections = 1;
  options.deadline = Millis(100);
  options.breaker.failures = 1000;
  options.breaker.ratio = 1;
  Client& client = Connected(options);
  ASSERT_EQ(Outcome(add_, {"a", 1}), absl::StatusCode::kOk);
  EXPECT_EQ(Outcome(sleep_), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  // The server gives up too, so that the connection is of use again without being made anew.
  ASSERT_TRUE(RunUntil([&] { return PoolMetric("pg_outstanding") == 0; }));
  EXPECT_TRUE(client.connected());
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  EXPECT_EQ(PoolMetric("pg_reconnects_total"), 0);
}

TEST_F(ClientOutageTest, WhatWaitsBehindItIsDefinitelyNotSent) {
  Options options = Defaults();
  options.connections = 1;
  options.group_max = options.groups_in_flight = 1;
  options.deadline = Millis(100);
  options.breaker.failures = 1000;
  options.breaker.ratio = 1;
  Connected(options);
  ASSERT_EQ(Outcome(add_, {"a", 0}), absl::StatusCode::kOk);
  Issue(sleep_);
  RunFor(Millis(20));
  Issue(sleep_);  // takes the connection when the first one is ended, until after the deadline of what comes behind it
  Issue(raise_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_GE(Ended(absl::StatusCode::kDeadlineExceeded), 1);
  EXPECT_GE(Ended(absl::StatusCode::kResourceExhausted), 1);
  EXPECT_EQ(last_status_.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(OutcomeUnknown(last_status_));
  ASSERT_TRUE(RunUntil([&] { return PoolMetric("pg_outstanding") == 0; }));
  EXPECT_EQ(server_->Query("SELECT n FROM counter"), "0");
}

TEST_F(ClientOutageTest, OutstandingIsBounded) {
  Options options = Defaults();
  options.max_outstanding = 32;
  options.deadline = Millis(200);
  options.breaker.failures = 1'000'000;
  options.breaker.ratio = 1;
  Connected(options);
  server_->Pause();
  for (int i = 0; i < 100; ++i) Issue(read_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kResourceExhausted), 68);
  EXPECT_EQ(Ended(absl::StatusCode::kDeadlineExceeded), 32);
}

TEST_F(ClientOutageTest, TheBreakerOpensAndClosesByItsOwnProbe) {
  Options options = Defaults();
  options.deadline = Millis(50);
  options.breaker.failures = 5;
  options.breaker.open_for = Millis(50);
  Client& client = Connected(options);
  ASSERT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
  server_->Pause();
  for (int i = 0; i < 5; ++i) Issue(read_, {"a"});
  ASSERT_TRUE(AllEnded());
  EXPECT_NE(client.breaker_state(), Breaker::State::kClosed);
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kUnavailable);
  server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; })) << "no call is needed";
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk);
}

// Transactions are not sent again, and others' rows are no reason to refuse everybody's reads.
TEST_F(ClientOutageTest, ConflictsOfTransactionsDoNotOpenTheBreaker) {
  constexpr int kAtOnce = 5;
  Options options = Defaults();
  options.connections = kAtOnce;
  options.breaker.failures = 3;  // in a row
  Client& client = Connected(options);
  for (const char* const code : {"40P01", "40001", "55P03"}) {
    const Statement conflict("conflict", std::string("DO $$ BEGIN RAISE SQLSTATE '") + code + "'; END $$");
    std::vector<std::unique_ptr<Transaction>> begun;
    for (int i = 0; i < kAtOnce; ++i) {
      client.Begin([&](absl::StatusOr<std::unique_ptr<Transaction>> transaction) {
        ASSERT_TRUE(transaction.ok()) << transaction.status();
        begun.push_back(*std::move(transaction));
      });
    }
    ASSERT_TRUE(RunUntil([&] { return begun.size() == kAtOnce; }));
    for (const auto& transaction : begun) {
      ++issued_;
      transaction->Execute(conflict, {}, Record());
    }
    ASSERT_TRUE(AllEnded());
    EXPECT_EQ(last_status_.code(), absl::StatusCode::kFailedPrecondition) << last_status_;
    EXPECT_EQ(client.breaker_state(), Breaker::State::kClosed) << code;
  }
}

TEST_F(ClientOutageTest, AKillAbortsWhatIsOutstandingAndARestartReconnects) {
  Options options = Defaults();
  Client& client = Connected(options);
  for (int i = 0; i < 4; ++i) Issue(sleep_);
  RunFor(Millis(20));
  server_->Kill();
  ASSERT_TRUE(AllEnded());
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 4);
  EXPECT_TRUE(OutcomeUnknown(last_status_));
  ASSERT_TRUE(RunUntil([&] { return !client.connected(); }));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kUnavailable);
  RunFor(Millis(50));  // attempts that fail
  server_->Start();
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  ASSERT_TRUE(RunUntil([&] { return client.breaker_state() == Breaker::State::kClosed; }));
  EXPECT_EQ(Outcome(read_, {"a"}), absl::StatusCode::kOk) << "its statements are prepared anew";
}

TEST_F(ClientOutageTest, ConnectionsThatAreEndedOneByOneComeBack) {
  Options options = Defaults();
  options.breaker.failures = 1000;
  Client& client = Connected(options);
  for (int round = 0; round < 5; ++round) {
    server_->Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg'");
    ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
    const auto gone = [&] {
      Issue(read_, {"a"});
      EXPECT_TRUE(AllEnded());
      return last_status_.ok();
    };
    ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
    for (int tries = 0; tries < 200 && !gone(); ++tries) RunFor(Millis(5));
    EXPECT_TRUE(last_status_.ok()) << last_status_;
  }
}

// Two pools that write the same rows in opposite orders: PostgreSQL ends one of them, and nothing is lost or done
// twice.
TEST_F(ClientOutageTest, DeadlocksAreSentAgain) {
  Options options = Defaults();
  options.connections = 2;
  options.deadline = std::chrono::seconds(9);
  Connected(options);
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_EQ(Outcome(add_, {key, 0}), absl::StatusCode::kOk);
  for (int round = 0; round < 10; ++round) {
    for (const char* key : {"a", "b", "c", "d", "d", "c", "b", "a"}) Issue(raise_, {key});
    ASSERT_TRUE(AllEnded());
  }
  EXPECT_EQ(Ended(absl::StatusCode::kOk), 84);
  EXPECT_EQ(server_->Query("SELECT sum(n) FROM counter"), "80");
}

TEST_F(ClientOutageTest, CloseEndsEverythingOnce) {
  Client& client = Connected();
  for (int i = 0; i < 10; ++i) Issue(sleep_);
  RunFor(Millis(5));
  for (int i = 0; i < 10; ++i) Issue(read_, {"a"});  // not yet sent
  client.Close();
  EXPECT_EQ(Ended(absl::StatusCode::kAborted), 20);
  RunFor(Millis(20));
  EXPECT_EQ(ended_, 20);
  EXPECT_FALSE(client.connected());
}

TEST_F(ClientOutageTest, CloseFromACallbackEndsTheRest) {
  Options options = Defaults();
  options.connections = 1;
  Client& client = Connected(options);
  bool closed = false;
  client.Execute(read_, {"a"}, [&](absl::StatusOr<Results> results) {
    EXPECT_TRUE(results.ok());
    client.Close();
    closed = true;
  });
  for (int i = 0; i < 10; ++i) Issue(read_, {"a"});
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  EXPECT_EQ(ended_, 10);
}

// What the codes promise: OK happened, UNAVAILABLE and RESOURCE_EXHAUSTED did not, the others may have. Through pauses,
// ended connections and failing neighbours the counter must lie between those bounds, and every call ends once.
TEST_F(ClientOutageTest, OutcomesTellTheTruthThroughRandomFaults) {
  const auto seed = static_cast<uint64_t>(Clock::now().time_since_epoch().count());
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  Options options = Defaults();
  options.deadline = Millis(20);
  options.max_outstanding = 128;
  options.breaker.open_for = Millis(10);
  options.reconnect.max = Millis(20);
  options.groups_in_flight = 2;
  Client& client = Connected(options);
  server_->Query("INSERT INTO counter VALUES ('n', 0)");
  bool paused = false;
  int doomed = 0;
  for (int round = 0; round < 200; ++round) {
    const uint64_t fault = random.Below(12);
    if (fault == 0) server_->Pause();
    if (fault == 1) server_->Continue();
    if (fault <= 1) paused = fault == 0;
    if (fault == 2 && !paused) {
      server_->Query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg'");
    }
    for (uint64_t i = random.Below(40); i > 0; --i) {
      if (random.Below(20) == 0) {
        ++doomed;
        client.Execute(add_, {"n", 1}, [&](absl::StatusOr<Results> results) {
          --doomed;
          EXPECT_FALSE(results.ok());
        });
      } else {
        Issue(raise_, {"n"});
      }
    }
    RunFor(Micros(random.Below(4000)));
  }
  server_->Continue();
  ASSERT_TRUE(AllEnded());
  ASSERT_TRUE(RunUntil([&] { return doomed == 0 && PoolMetric("pg_outstanding") == 0; }));
  ASSERT_TRUE(RunUntil([&] { return client.connected() && client.breaker_state() == Breaker::State::kClosed; }));

  const int ok = Ended(absl::StatusCode::kOk);
  const int unknown = Ended(absl::StatusCode::kDeadlineExceeded) + Ended(absl::StatusCode::kAborted);
  const int not_done = Ended(absl::StatusCode::kUnavailable) + Ended(absl::StatusCode::kResourceExhausted) +
                       Ended(absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ok + unknown + not_done, issued_);
  EXPECT_GT(ok, 0);
  EXPECT_GT(unknown, 0);
  const int counter = std::stoi(server_->Query("SELECT n FROM counter"));
  EXPECT_GE(counter, ok);
  EXPECT_LE(counter, ok + unknown);
}

}  // namespace
}  // namespace lab::pg
