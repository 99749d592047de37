// Writes of several connections that share transactions, as those of one process or of several do.
#include <memory>
#include <vector>

#include "services/cacheapi/testing/origin_fixture.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

using ::testing::HasSubstr;

class WriteOrderTest : public OriginTest {
 protected:
  void SetUp() override {
    OriginTest::SetUp();
    if (!server_) return;
    server_->Query("INSERT INTO brand SELECT 'b' || n, 'B' FROM generate_series(1, 3) AS n");
    server_->Query("INSERT INTO brand_state (brand_id) SELECT 'b' || n FROM generate_series(1, 3) AS n");
  }
  ~WriteOrderTest() override {
    for (const auto& process : processes_) process->writes.Close();
    RunFor(Millis(1));
  }
  // What two processes have of their own, as far as it goes: connections whose writes share transactions.
  struct Process {
    Process(WriteOrderTest& test, const pg::Options& pool)
        : writes(test.loop_, pool, metrics), origin(*test.reads_, writes, Origin::Options{}, metrics) {}
    obs::Metrics metrics;
    pg::Client writes;
    Origin origin;
  };
  Origin& Start(const std::string& name) {
    pg::Options pool = Pool(name.c_str(), false);
    pool.connections = 1;
    pool.group_max = 64;
    pool.deadline = std::chrono::seconds(8);
    processes_.push_back(std::make_unique<Process>(*this, pool));
    EXPECT_TRUE(RunUntil([&] { return processes_.back()->writes.connected(); }));
    return processes_.back()->origin;
  }
  void WriteAt(Origin& origin, const std::string& brand) {
    origin.Write({brand, 1, "", Concat("r", ++sent_)}, [this](const absl::StatusOr<uint64_t>& version) {
      EXPECT_TRUE(version.ok()) << version.status();
      ++ended_;
    });
  }
  std::string Waiting() {
    return server_->Admin("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
  }
  // Sent again is what PostgreSQL has ended for a deadlock.
  void NothingWasSentAgain() {
    EXPECT_THAT(processes_[0]->metrics.Text(), HasSubstr("pg_operations_resent_total{pool=\"first\"} 0\n"));
    EXPECT_THAT(processes_[1]->metrics.Text(), HasSubstr("pg_operations_resent_total{pool=\"second\"} 0\n"));
  }

  std::vector<std::unique_ptr<Process>> processes_;
  int sent_ = 0, ended_ = 0;
};

// One writes b1, b2, b3 and the other one b3, b2, b1. Somebody holds b2 until both wait, so that each, were they to
// lock in the order in which they were asked, would have what the other one needs next.
TEST_F(WriteOrderTest, GroupsLockInOneOrder) {
  Origin& first = Start("first");
  Origin& second = Start("second");
  std::unique_ptr<pg::Transaction> holder;
  origin_->Begin([&](auto begun) { holder = *std::move(begun); });
  ASSERT_TRUE(RunUntil([&] { return holder != nullptr; }));
  bool holds = false;
  origin_->WriteIn(*holder, {"b2", 1, "", "holder"}, [&](const auto& version) { holds = version.ok(); });
  ASSERT_TRUE(RunUntil([&] { return holds; }));

  for (const char* brand : {"b1", "b2", "b3"}) WriteAt(first, brand);
  for (const char* brand : {"b3", "b2", "b1"}) WriteAt(second, brand);
  ASSERT_TRUE(RunUntil([&] { return Waiting() == "2"; }));
  holder->Commit([](const absl::Status&) {});
  ASSERT_TRUE(RunUntil([&] { return ended_ == sent_; }));
  EXPECT_EQ(
      server_->Query("SELECT string_agg(version::text, ' ' ORDER BY brand_id) FROM brand_state WHERE brand_id LIKE "
                     "'b%'"),
      "3 4 3");
  NothingWasSentAgain();
}

// The same with a batch of the queue: one operation, in the order of the brands, answered in that of its writes.
TEST_F(WriteOrderTest, ABatchLocksInTheSameOrder) {
  Origin& first = Start("first");
  Origin& second = Start("second");
  std::unique_ptr<pg::Transaction> holder;
  origin_->Begin([&](auto begun) { holder = *std::move(begun); });
  ASSERT_TRUE(RunUntil([&] { return holder != nullptr; }));
  bool holds = false;
  origin_->WriteIn(*holder, {"b2", 1, "", "holder"}, [&](const auto& version) { holds = version.ok(); });
  ASSERT_TRUE(RunUntil([&] { return holds; }));

  for (const char* brand : {"b1", "b2", "b3"}) WriteAt(first, brand);
  std::optional<absl::StatusOr<std::vector<absl::StatusOr<uint64_t>>>> written;
  const Correction batch[] = {
      {"b3", 1, "", "x"}, {"nobody", 1, "", "y"}, {"b2", 1, "", "z"}, {"b1", 1, "", "v"}, {"b3", 2, "", "w"}};
  second.WriteAll(batch, [&](auto outcomes) { written = std::move(outcomes); });
  ASSERT_TRUE(RunUntil([&] { return Waiting() == "2"; }));
  holder->Commit([](const absl::Status&) {});
  ASSERT_TRUE(RunUntil([&] { return ended_ == sent_ && written.has_value(); }));
  ASSERT_TRUE(written->ok()) << written->status();
  ASSERT_EQ((*written)->size(), 5u);
  const absl::StatusOr<uint64_t>& before = (**written)[0];
  const absl::StatusOr<uint64_t>& after = (**written)[4];
  EXPECT_EQ(*after, *before + 1) << "those of a brand in their order";
  EXPECT_EQ((**written)[1].status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_->Query("SELECT posts FROM correction WHERE brand_id = 'b3'"), *before == 2 ? "1" : "2");
  EXPECT_EQ(
      server_->Query("SELECT string_agg(version::text, ' ' ORDER BY brand_id) FROM brand_state WHERE brand_id LIKE "
                     "'b%'"),
      "3 4 4");
  NothingWasSentAgain();
}

}  // namespace
}  // namespace lab::cacheapi
