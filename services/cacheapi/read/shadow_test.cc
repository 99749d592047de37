#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

using Outcome = Shadow::Outcome;

Value Served(uint64_t version, const std::string& body = "{}") {
  Value value;
  value.version = version;
  value.body = body;
  return value;
}
Insight There(uint64_t version, Nanos changed_ago = std::chrono::hours(1), const std::string& body = "{}") {
  Insight insight;
  insight.exists = true;
  insight.version = version;
  insight.changed_ago = changed_ago;
  insight.body = body;
  return insight;
}

TEST(ShadowCompareTest, SaysWhatCanBeProvenOnly) {
  Value none;
  none.negative = true;
  EXPECT_EQ(Shadow::Compare(Served(3), There(3), Millis(1)).outcome, Outcome::kSame);
  EXPECT_EQ(Shadow::Compare(none, Insight(), Millis(1)).outcome, Outcome::kSame);
  EXPECT_EQ(Shadow::Compare(Served(3), There(3, Millis(5), "{\"posts\":1}"), Millis(1)).outcome, Outcome::kDiffers);
  EXPECT_EQ(Shadow::Compare(Served(3), There(2), Millis(1)).outcome, Outcome::kDiffers) << "a version that never was";
  EXPECT_EQ(Shadow::Compare(Served(3), Insight(), Millis(1)).outcome, Outcome::kDiffers) << "deleted";
  const Shadow::Comparison stale = Shadow::Compare(Served(3), There(4, Millis(500)), Millis(100));
  EXPECT_EQ(stale.outcome, Outcome::kStale);
  EXPECT_EQ(stale.age, Nanos(Millis(400)));
  EXPECT_EQ(Shadow::Compare(none, There(1, Millis(500)), Millis(100)).outcome, Outcome::kStale);
  EXPECT_EQ(Shadow::Compare(Served(3), There(4, Millis(50)), Millis(100)).outcome, Outcome::kSame)
      << "changed after it was served";
}

class ShadowTest : public ModesTest {
 protected:
  // A process whose hits are all compared.
  Process& Shadowed(int in_flight = 8) {
    queue_.emplace(loop_, *origin_, Admission::Options{}, metrics_);
    shadow_.emplace(*queue_, Shadow::Options{.share = 1, .in_flight = in_flight}, metrics_, 7);
    return Start(LeasedReads(), {}, {.queue = &*queue_, .shadow = &*shadow_});
  }
  void Cached(Process& process) {
    EXPECT_EQ(Via(Ask(process, "acme")), "origin");
    ASSERT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
  }
  double Count(const std::string& outcome) { return Metric("cacheapi_shadow_total{outcome=\"" + outcome + "\"}"); }
};

TEST_F(ShadowTest, AHitThatIsRightIsTheSame) {
  Process& process = Shadowed();
  Cached(process);
  EXPECT_EQ(Via(Ask(process, "acme")), "l2");
  ASSERT_TRUE(RunUntil([&] { return shadow_->in_flight() == 0; }));
  EXPECT_EQ(Count("same"), 1) << "of the hit, and nothing of the miss";
}

TEST_F(ShadowTest, AStaleHitIsServedAsItIsAndCountedWithItsAge) {
  Process& process = Shadowed();
  Cached(process);
  postgres_->Query("UPDATE brand_state SET version = 2, changed_at = clock_timestamp() - interval '10 s'");
  EXPECT_EQ(Ask(process, "acme").value.version, 1u);
  ASSERT_TRUE(RunUntil([&] { return shadow_->in_flight() == 0; }));
  EXPECT_EQ(Count("stale"), 1);
  EXPECT_GE(Metric("cacheapi_shadow_staleness_seconds_sum"), 9);
}

TEST_F(ShadowTest, WhatTheDatabaseDoesNotSayIsAnError) {
  Process& process = Shadowed();
  Cached(process);
  reads_->Close();
  EXPECT_EQ(Via(Ask(process, "acme")), "l2");
  ASSERT_TRUE(RunUntil([&] { return shadow_->in_flight() == 0; }));
  EXPECT_EQ(Count("error"), 1);
}

TEST_F(ShadowTest, NoMoreThanItsBoundAreUnderWay) {
  Process& process = Shadowed(1);
  Cached(process);
  std::vector<std::shared_ptr<PathsTest::Outcome>> all;
  for (int i = 0; i < 10; ++i) all.push_back(Asking(process, "acme"));
  for (const auto& outcome : all) Ended(outcome);
  ASSERT_TRUE(RunUntil([&] { return shadow_->in_flight() == 0; }));
  EXPECT_EQ(Count("same") + Metric("cacheapi_shadow_skipped_total"), 10);
  EXPECT_GE(Count("same"), 1);
}

}  // namespace
}  // namespace lab::cacheapi
