// Every fault of a PostgreSQL, on a real one.

#include <functional>
#include <thread>

#include "bench/fault/fault.h"
#include "bench/fault/testing_postgres.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

bool Within(Nanos time, const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(3));
  } while (Clock::now() < end);
  return false;
}

struct Case {
  std::string action;
  std::map<std::string, std::string> options;
  std::string name;
};

// What it can have without anything from its lab, and the ways of its own faults.
std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const FaultKind* kind : FaultsFor("postgres")) {
    if (kind->needs.empty()) cases.push_back({kind->action, kind->on_idle, kind->action});
  }
  cases.push_back({"lock", {{"table", "counter"}}, "lock_table"});
  cases.push_back({"lock", {{"table", "public.counter"}, {"blocks", "writes"}}, "lock_writes"});
  cases.push_back({"lock", {{"table", "counter"}, {"row", "key = 'a'"}}, "lock_row"});
  cases.push_back({"connection_limit", {{"limit", "0"}, {"sessions", "stay"}}, "connection_limit_stay"});
  return cases;
}

// One server for all of them: each leaves it well, or another takes its place.
class PostgresFaultTest : public ::testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() { target_.reset(); }
  void SetUp() override {
    if (const std::string why = pg::TestServer::WhyNone(); !why.empty()) GTEST_SKIP() << why;
    if (target_ == nullptr) target_ = std::make_unique<PostgresTarget>();
    target_->server().Query(
        "DROP TABLE IF EXISTS counter; CREATE TABLE counter (key text PRIMARY KEY, n int); "
        "INSERT INTO counter VALUES ('a', 1)");
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    if (test->value_param() == nullptr) return;
    const FaultKind& kind = *FindFault("postgres", GetParam().action);
    const std::string why = kind.why_not_here == nullptr ? "" : kind.why_not_here();
    if (!why.empty()) GTEST_SKIP() << why;
    fault_ = Make(GetParam());
  }
  void TearDown() override {
    fault_.reset();
    if (HasFailure()) target_.reset();
  }
  std::unique_ptr<Fault> Make(const Case& which) {
    const FaultKind* kind = FindFault("postgres", which.action);
    EXPECT_EQ(CheckFaultOptions(*kind, which.options), "");
    return kind->make({*target_, which.options, Millis(300)});
  }

  static inline std::unique_ptr<PostgresTarget> target_;
  std::unique_ptr<Fault> fault_;
};

TEST_P(PostgresFaultTest, IsSeenAndHealed) {
  ASSERT_TRUE(fault_->Prepare().ok()) << fault_->Prepare();
  EXPECT_EQ(fault_->Seen(), std::nullopt) << "seen before it was there";
  const absl::Status applied = fault_->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::optional<std::string> evidence;
  EXPECT_TRUE(Within(Millis(3000), [&] { return (evidence = fault_->Seen()).has_value(); }));
  EXPECT_NE(evidence.value_or(""), "");
  EXPECT_TRUE(Within(Millis(5000), [&] { return fault_->Heal().ok(); }));
  EXPECT_TRUE(Within(Millis(5000), [&] { return fault_->Healed(); }));
  EXPECT_TRUE(fault_->Heal().ok()) << "healing twice";
  EXPECT_TRUE(fault_->Healed());
  EXPECT_EQ(target_->server().Query("UPDATE counter SET n = n + 1; SELECT n FROM counter"), "2");
}

TEST_P(PostgresFaultTest, IsNotSeenWhenApplyDoesNothing) {
  ASSERT_TRUE(fault_->Prepare().ok());
  EXPECT_FALSE(Within(Millis(250), [&] { return fault_->Seen().has_value(); }));
  EXPECT_TRUE(fault_->Heal().ok());
  EXPECT_TRUE(Within(Millis(1000), [&] { return fault_->Healed(); }));
  EXPECT_EQ(target_->server().Query("SELECT n FROM counter"), "1") << "a heal without a fault changed something";
}

INSTANTIATE_TEST_SUITE_P(All, PostgresFaultTest, ::testing::ValuesIn(Cases()),
                         [](const auto& each) { return each.param.name; });

TEST_F(PostgresFaultTest, APauseStopsEveryProcess) {
  const std::unique_ptr<Fault> fault = Make({"pause", {}, ""});
  ASSERT_TRUE(fault->Prepare().ok());
  PgConnection before("127.0.0.1", target_->server().port());
  ASSERT_TRUE(before.Query("SELECT 1", Millis(2000)).ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(absl::IsDeadlineExceeded(before.Query("SELECT 1", Millis(100)).status())) << "an old session goes on";
  EXPECT_TRUE(Within(Millis(1000), [&] { return fault->Seen().has_value(); }));
  ASSERT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(2000), [&] { return fault->Healed(); }));
}

TEST_F(PostgresFaultTest, WritesWaitForATableThatMayBeRead) {
  const std::unique_ptr<Fault> fault = Make({"lock", {{"table", "counter"}, {"blocks", "writes"}}, ""});
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_EQ(target_->server().Query("SELECT n FROM counter"), "1");
  EXPECT_THROW(target_->server().Query("SET lock_timeout = 50; UPDATE counter SET n = 5"), std::runtime_error);
}

// Whoever applied it may be gone: the server's own clock ends it.
TEST_F(PostgresFaultTest, ALockEndsByTheServersClock) {
  const std::unique_ptr<Fault> fault =
      FindFault("postgres", "lock")->make({*target_, {{"table", "counter"}}, Millis(-1900)});
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
}

TEST_F(PostgresFaultTest, ALimitEndsSessionsBeyondItOnly) {
  const auto alone = [&] {
    return target_->server().Admin("SELECT count(*) FROM pg_stat_activity WHERE datname = 'lab'") == "0";
  };
  ASSERT_TRUE(Within(Millis(3000), alone)) << "sessions end a little later than their connections";
  PgConnection oldest("127.0.0.1", target_->server().port(), {.database = "lab"});
  PgConnection second("127.0.0.1", target_->server().port(), {.database = "lab"});
  ASSERT_TRUE(oldest.Query("BEGIN", Millis(2000)).ok());  // in a transaction no new connection takes its place
  ASSERT_TRUE(second.Query("BEGIN", Millis(2000)).ok());
  const std::unique_ptr<Fault> fault = Make({"connection_limit", {{"limit", "1"}}, ""});
  ASSERT_TRUE(fault->Prepare().ok());
  ASSERT_TRUE(fault->Apply().ok());
  EXPECT_TRUE(Within(Millis(1000), [&] { return fault->Seen().has_value(); }));
  EXPECT_TRUE(oldest.Query("COMMIT", Millis(2000)).ok());
  EXPECT_FALSE(second.Query("COMMIT", Millis(2000)).ok());
  ASSERT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(1000), [&] { return fault->Healed(); }));
}

TEST_F(PostgresFaultTest, WhatIsNotThereIsTold) {
  EXPECT_THAT(std::string(Make({"lock", {{"table", "nothing"}}, ""})->Prepare().message()), HasSubstr("nothing"));
  EXPECT_THAT(std::string(Make({"connection_limit", {{"database", "nowhere"}}, ""})->Prepare().message()),
              HasSubstr("nowhere"));
  const std::unique_ptr<Fault> row = Make({"lock", {{"table", "counter"}, {"row", "key = 'z'"}}, ""});
  ASSERT_TRUE(row->Prepare().ok());
  EXPECT_THAT(std::string(row->Apply().message()), HasSubstr("no row of counter with key = 'z'"));
  const std::unique_ptr<Fault> again = Make({"lock", {{"table", "counter"}}, ""});
  const std::unique_ptr<Fault> first = Make({"lock", {{"table", "counter"}}, ""});
  ASSERT_TRUE(first->Prepare().ok());
  ASSERT_TRUE(first->Apply().ok());
  EXPECT_THAT(std::string(again->Prepare().message()), HasSubstr("locked before the fault"));
}

TEST(PostgresOptionsTest, WrongValuesSayWhatIsWanted) {
  EXPECT_THAT(CheckFaultOption("postgres.lock", "table", "brand state"), HasSubstr("no name"));
  EXPECT_THAT(CheckFaultOption("postgres.lock", "table", "a; DROP TABLE b"), HasSubstr("no name"));
  EXPECT_THAT(CheckFaultOption("postgres.lock", "blocks", "write"), HasSubstr("writes"));
  EXPECT_THAT(CheckFaultOption("postgres.lock", "tabel", "x"), HasSubstr("table"));
  EXPECT_THAT(CheckFaultOption("postgres.connection_limit", "limit", "-1"), HasSubstr("0 to 5000"));
  EXPECT_EQ(CheckFaultOption("postgres.lock", "table", "public.brand_state"), "");
  EXPECT_EQ(FindFault("redis", "lock"), nullptr);
  EXPECT_NE(FindFault("postgres", "kill"), nullptr);
}

}  // namespace
}  // namespace lab::bench
