// Every fault of a link to a PostgreSQL, on a proxy of ours before a real one: that its protocol gets through, and that
// the probe sees what clients would.

#include <functional>
#include <thread>

#include "bench/fault/fault.h"
#include "bench/fault/link_probe.h"
#include "bench/fault/testing_link.h"
#include "bench/fault/testing_postgres.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

bool Within(Nanos time, const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + time;
  do {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(3));
  } while (Clock::now() < end);
  return false;
}

bool PostgresAnswers(int port, Nanos timeout) {
  return PgConnection("127.0.0.1", port).Query("SELECT 1", timeout).ok();
}

struct Case {
  std::string action;
  std::map<std::string, std::string> options;
  std::string name;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const FaultKind* kind : FaultsFor("link")) {
    cases.push_back({kind->action, {}, kind->action});
    if (kind->action != "down") cases.push_back({kind->action, {{"stream", "upstream"}}, kind->action + "_upstream"});
  }
  cases.push_back({"bandwidth", {{"rate", "10mb/s"}}, "bandwidth_fast"});
  cases.push_back({"limit_data", {{"bytes", "200kb"}}, "limit_data_much"});
  return cases;
}

// One server and proxy for all of them: each leaves the link well, or another takes its place.
class PostgresLinkTest : public ::testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() { target_.reset(); }
  void SetUp() override {
    if (const std::string why = pg::TestServer::WhyNone(); !why.empty()) GTEST_SKIP() << why;
    if (target_ == nullptr) target_ = std::make_unique<LinkTarget<PostgresTarget>>("postgres", &PostgresAnswers);
  }
  void TearDown() override {
    if (HasFailure()) target_.reset();
  }
  std::unique_ptr<Fault> Make(const Case& which) {
    return FindFault("link", which.action)->make({*target_, which.options, Millis(300)});
  }

  static inline std::unique_ptr<LinkTarget<PostgresTarget>> target_;
};

TEST_P(PostgresLinkTest, IsSeenAndHealed) {
  const std::unique_ptr<Fault> fault = Make(GetParam());
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Prepare().ok(); })) << fault->Prepare();
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
  const absl::Status applied = fault->Apply();
  ASSERT_TRUE(applied.ok()) << applied;
  std::optional<std::string> evidence;
  EXPECT_TRUE(Within(Millis(5000), [&] { return (evidence = fault->Seen()).has_value(); }));
  EXPECT_NE(evidence.value_or(""), "");
  EXPECT_FALSE(fault->Healed()) << "well while it lasts";
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
  EXPECT_EQ(target_->Ask(Millis(2000)), Look::kAnswers);
}

TEST_P(PostgresLinkTest, IsNotSeenWhenApplyDoesNothing) {
  const std::unique_ptr<Fault> fault = Make(GetParam());
  ASSERT_TRUE(Within(Millis(3000), [&] { return fault->Prepare().ok(); }));
  EXPECT_FALSE(Within(Millis(150), [&] { return fault->Seen().has_value(); }));
  EXPECT_TRUE(fault->Heal().ok());
  EXPECT_TRUE(Within(Millis(3000), [&] { return fault->Healed(); }));
}

INSTANTIATE_TEST_SUITE_P(All, PostgresLinkTest, ::testing::ValuesIn(Cases()),
                         [](const auto& each) { return each.param.name; });

TEST_F(PostgresLinkTest, AProbeCarriesAsMuchAsItSays) {
  LinkProbe probe(*target_);
  ASSERT_TRUE(probe.Prepare().ok());
  for (const size_t bytes : {size_t{1}, size_t{1000}, size_t{1} << 20}) {
    const LinkProbe::Result result = probe.Exchange(bytes, std::chrono::seconds(5));
    EXPECT_EQ(result.end, LinkProbe::End::kAnswered) << bytes;
    EXPECT_GE(result.received, bytes);
  }
  EXPECT_EQ(probe.Close(Millis(2000)).end, LinkProbe::End::kAnswered);
}

}  // namespace
}  // namespace lab::bench
