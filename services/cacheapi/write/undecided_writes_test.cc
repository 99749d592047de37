#include "services/cacheapi/write/undecided_writes.h"

#include <signal.h>

#include <optional>
#include <string>

#include "services/cacheapi/shared/flush.h"
#include "services/cacheapi/testing/paths_fixture.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

// A writer whose backend in PostgreSQL can be stopped, so that what it was sent goes on when nobody waits any more.
class UndecidedWritesTest : public PathsTest {
 protected:
  void SetUp() override {
    PathsTest::SetUp();
    if (postgres_ == nullptr) return;
    pg::Options slow = Pool("test_write", 1);
    slow.deadline = Millis(700);
    write_pool_.emplace(loop_, slow, metrics_);
    request_pool_.emplace(loop_, Pool("test_requests", 1), metrics_);
    ASSERT_TRUE(RunUntil([&] { return write_pool_->connected() && request_pool_->connected(); }));
    write_origin_.emplace(*reads_, *write_pool_, Origin::Options{}, metrics_);
    requests_.emplace(*request_pool_, 7);
    process_ = &Start(LeasedReads(), {});
  }
  ~UndecidedWritesTest() override {
    Signal("test_write", SIGCONT);
    Signal("test_requests", SIGCONT);
    if (write_pool_) write_pool_->Close();
    if (request_pool_) request_pool_->Close();
    RunFor(Millis(1));
    writer_.reset();
  }
  void StartWriter(Writer::Options options = {}) {
    writer_.emplace(
        Writer::Parts{loop_, *write_origin_, &*shared_, &gate_,
                      [this](std::string_view brand, uint64_t version) { process_->reader.Invalidate(brand, version); },
                      nullptr, nullptr, &*requests_,
                      [this](absl::AnyInvocable<void(absl::Status)> done) { FlushEntries(*redis_, std::move(done)); }},
        options, metrics_);
  }
  static void Signal(const char* pool, int signal) {
    if (postgres_ != nullptr) postgres_->SignalPool(pool, signal);
  }
  absl::Status Written(const std::string& id) {
    std::optional<absl::StatusOr<uint64_t>> written;
    writer_->Write({"acme", 1, "", id}, "", [&](absl::StatusOr<uint64_t> version) { written = std::move(version); });
    EXPECT_TRUE(RunUntil([&] { return written.has_value(); }));
    return written->status();
  }
  bool InL2() { return redis_server_->Command({"EXISTS", CacheKey("acme", kDefaultWindow)}) == "1"; }
  double Decided(const char* fate) { return Metric(Concat("cacheapi_writes_decided_total{fate=\"", fate, "\"}")); }
  // A write whose answer does not come in time, and a reader afterwards, who finds and keeps what was before it.
  void WriteWithoutAnswerAndRead() {
    Signal("test_write", SIGSTOP);
    EXPECT_EQ(Written("late").code(), absl::StatusCode::kDeadlineExceeded);
    EXPECT_EQ(VersionRead(*process_), 1u);
    ASSERT_TRUE(RunUntil([&] { return InL2(); }));
  }

  std::optional<pg::Client> write_pool_, request_pool_;
  std::optional<Origin> write_origin_;
  std::optional<RequestIds> requests_;
  Process* process_ = nullptr;
  std::optional<Writer> writer_;
};

// The commit comes first: the database is asked until it says so, and the caches are told then.
TEST_F(UndecidedWritesTest, OneThatIsCommittedLateIsToldLate) {
  StartWriter();
  Signal("test_requests", SIGSTOP);
  WriteWithoutAnswerAndRead();
  EXPECT_EQ(Metric("cacheapi_undecided_writes"), 1);
  Signal("test_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return VersionThere() == 2; }));
  EXPECT_EQ(VersionRead(*process_), 1u) << "what nobody has told of";
  Signal("test_requests", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Decided("applied") == 1; }));
  ASSERT_TRUE(RunUntil([&] { return !InL2(); }));
  EXPECT_EQ(VersionRead(*process_), 2u);
  EXPECT_EQ(Metric("cacheapi_undecided_writes"), 0);
}

// The decision comes first: then the write is one that never happens, and what is cached is right.
TEST_F(UndecidedWritesTest, OneThatIsGivenUpNeverHappens) {
  StartWriter();
  WriteWithoutAnswerAndRead();
  ASSERT_TRUE(RunUntil([&] { return Decided("given_up") == 1; }));
  Signal("test_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Metric("pg_late_results_total{pool=\"test_write\"}") == 1; }));
  EXPECT_EQ(VersionThere(), 1u);
  EXPECT_EQ(VersionRead(*process_), 1u);
  EXPECT_TRUE(Written("late").ok()) << "sent again by its client, it does";
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_EQ(VersionRead(*process_), 2u);
}

// With tombstones instead of leases: the version that it turns out to be is buried.
TEST_F(UndecidedWritesTest, ALateOneIsBuried) {
  StartWriter(Writes(WritePattern::kBury));
  Reader::Options reads = PlainReads();
  reads.newer_only = true;
  process_ = &Start(reads, {});
  Signal("test_requests", SIGSTOP);
  WriteWithoutAnswerAndRead();
  Signal("test_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return VersionThere() == 2; }));
  Signal("test_requests", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Decided("applied") == 1; }));
  ASSERT_TRUE(RunUntil([&] { return Metric("cacheapi_invalidations_total{outcome=\"ok\"}") >= 2; }));
  EXPECT_EQ(VersionRead(*process_), 2u);
}

TEST_F(UndecidedWritesTest, TheServerMayBeAwayMeanwhile) {
  StartWriter();
  EXPECT_EQ(VersionRead(*process_), 1u);
  postgres_->Pause();
  EXPECT_EQ(Written("late").code(), absl::StatusCode::kDeadlineExceeded);
  RunFor(Millis(100));
  EXPECT_EQ(Metric("cacheapi_undecided_writes"), 1);
  postgres_->Continue();
  ASSERT_TRUE(RunUntil([&] { return Decided("applied") + Decided("given_up") == 1; }));
  ASSERT_TRUE(RunUntil([&] { return reads_->breaker_state() == async::Breaker::State::kClosed; }));
  const uint64_t there = Decided("applied") == 1 ? 2 : 1;
  RunFor(Millis(100));
  EXPECT_EQ(VersionThere(), there);
  EXPECT_EQ(VersionRead(*process_), there);
}

// The id of one stands in a transaction that does not end: its fence waits, and the others do not wait for it.
TEST_F(UndecidedWritesTest, OneThatWaitsHoldsNobodyUp) {
  std::unique_ptr<pg::Transaction> open;
  writes_->Begin([&](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) { open = *std::move(begun); });
  ASSERT_TRUE(RunUntil([&] { return open != nullptr; }));
  std::optional<absl::StatusOr<uint64_t>> written;
  origin_->WriteIn(*open, {"acme", 1, "", "held"}, [&](absl::StatusOr<uint64_t> version) { written = version; });
  ASSERT_TRUE(RunUntil([&] { return written.has_value(); }));
  ASSERT_TRUE(written->ok()) << written->status();

  pg::Client pool(loop_, Pool("test_requests_2", 2), metrics_);
  ASSERT_TRUE(RunUntil([&] { return pool.connected(); }));
  RequestIds ids(pool, 8);
  obs::Metrics metrics;
  int applied = 0;
  UndecidedWrites undecided(
      loop_, ids, [&](std::string_view, uint64_t) { ++applied; }, {}, metrics);
  undecided.Add("acme", "held");
  EXPECT_TRUE(RunUntil([&] {
    return postgres_->Admin(
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test_requests_2' AND "
               "wait_event_type = 'Lock'") == "1";
  }));
  undecided.Add("acme", "free");
  const auto given_up = [&] { return metrics.Text().find("{fate=\"given_up\"} 1") != std::string::npos; };
  EXPECT_TRUE(RunUntil(given_up));
  EXPECT_EQ(applied, 0);
  open->Commit([](const absl::Status&) {});
  EXPECT_TRUE(RunUntil([&] { return applied == 1; }));
  pool.Close();
  RunFor(Millis(1));
}

TEST_F(UndecidedWritesTest, WhileThereAreTooManyNoneIsBegun) {
  Writer::Options options;
  options.undecided.most = 1;
  StartWriter(options);
  Signal("test_requests", SIGSTOP);
  Signal("test_write", SIGSTOP);
  EXPECT_EQ(Written("late").code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Written("refused").code(), absl::StatusCode::kUnavailable);
  Signal("test_requests", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Metric("cacheapi_undecided_writes") == 0; }));
  Signal("test_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Metric("pg_late_results_total{pool=\"test_write\"}") == 1; }));
  EXPECT_TRUE(Written("taken").ok());
  EXPECT_EQ(VersionThere(), 2u);
}

// Who tells hears of the commit from the database: nothing is to be decided here.
TEST_F(UndecidedWritesTest, IsNotAskedForWhereSomebodyElseTells) {
  Writer::Options options;
  options.tells_cache = false;
  StartWriter(options);
  Signal("test_write", SIGSTOP);
  EXPECT_EQ(Written("late").code(), absl::StatusCode::kDeadlineExceeded);
  Signal("test_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return VersionThere() == 2; }));
}

}  // namespace
}  // namespace lab::cacheapi
