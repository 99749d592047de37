// The feeds at the gate: each in its turn, which is not the clock's.
#include <functional>

#include "services/cacheapi/testing/feeds_fixture.h"

namespace lab::cacheapi {
namespace {

class FeedGateTest : public FeedsTest {
 protected:
  void SetUp() override {
    FeedsTest::SetUp();
    if (postgres_ != nullptr) postgres_->Query("DELETE FROM outbox");
  }
  static std::string Rows() { return postgres_->Query("SELECT count(*) FROM outbox"); }
  bool FeedAt(Step step) {
    return RunUntil([&] { return HeldAt("feed") == step; });
  }
  // One that is not ready yet, because its connections do not stand, is told again.
  bool Takes(const std::function<bool()>& taken) {
    return RunUntil([&] {
      if (!taken() && HeldAt("feed") == Step::kTake) gate_.Go("feed");
      return taken();
    });
  }
  bool TakesIt() {
    return Takes([this] { return HeldAt("feed") == Step::kApply; });
  }
};

TEST_F(FeedGateTest, AnOutboxTakesWhenItIsTold) {
  Node& node = StartNode(LeasedReads(), SilentWrites());
  Fill(node);
  node.Relay();
  gate_.Watch("acme");
  ASSERT_TRUE(FeedAt(Step::kTake));
  Ended(WriteAt(node));
  RunFor(Millis(20));
  EXPECT_EQ(HeldAt("feed"), Step::kTake) << "by no clock";
  EXPECT_TRUE(InL2());
  ASSERT_TRUE(TakesIt());
  EXPECT_TRUE(gate_.quiet());
  EXPECT_TRUE(InL2());
  gate_.Go("feed");
  ASSERT_TRUE(FeedAt(Step::kCommit));
  EXPECT_FALSE(InL2());
  EXPECT_EQ(Rows(), "1") << "until the commit";
  gate_.Go("feed");
  ASSERT_TRUE(FeedAt(Step::kTake));
  EXPECT_EQ(Rows(), "0");
}

TEST_F(FeedGateTest, WhatARelayHasNotEndedComesAgain) {
  Node& node = StartNode(LeasedReads(), SilentWrites());
  Fill(node);
  node.Relay();
  gate_.Watch("acme");
  ASSERT_TRUE(FeedAt(Step::kTake));
  Ended(WriteAt(node));
  for (const Step dies_at : {Step::kApply, Step::kCommit}) {
    ASSERT_TRUE(TakesIt());
    if (dies_at == Step::kCommit) {
      gate_.Go("feed");
      ASSERT_TRUE(FeedAt(Step::kCommit));
    }
    EXPECT_TRUE(gate_.Die("feed"));
    ASSERT_TRUE(FeedAt(Step::kTake));
    EXPECT_EQ(Rows(), "1");
  }
  for (const Step step : {Step::kTake, Step::kApply, Step::kCommit}) Go("feed", step);
  ASSERT_TRUE(FeedAt(Step::kTake));
  EXPECT_EQ(Rows(), "0");
  EXPECT_EQ(VersionAt(node), 2u);
}

TEST_F(FeedGateTest, OtherBrandsAreNotHeld) {
  postgres_->Query(
      "INSERT INTO brand VALUES ('other', 'Other') ON CONFLICT DO NOTHING; INSERT INTO brand_state (brand_id) VALUES "
      "('other') ON CONFLICT DO NOTHING");
  Node& node = StartNode(LeasedReads(), SilentWrites());
  node.Relay();
  gate_.Watch("acme");
  ASSERT_TRUE(FeedAt(Step::kTake));
  Ended(WriteAt(node, "", "other"));
  ASSERT_TRUE(Takes([] { return Rows() == "0"; })) << "told and ended without a stop";
  ASSERT_TRUE(FeedAt(Step::kTake));
}

// What Redis tells is held where it arrives, and that all of it has arrived can be known.
TEST_F(FeedGateTest, APushIsHeardWhenItIsLetGo) {
  Node& here = StartTracked();
  Node& there = StartNode(LeasedReads(), Writes(WritePattern::kDeleteAfterCommit));
  Fill(here);
  Warm(here);
  gate_.Watch("acme");
  Ended(WriteAt(there));
  bool heard = false;
  here.tracking->WhenHeard([&heard] { heard = true; });
  ASSERT_TRUE(RunUntil([&] { return heard; }));
  EXPECT_EQ(HeldAt("push"), Step::kPublish);
  EXPECT_EQ(Got(here).second, "l1") << "old: it has not been told";
  gate_.Go("push");
  EXPECT_EQ(VersionAt(here), 2u);
}

}  // namespace
}  // namespace lab::cacheapi
