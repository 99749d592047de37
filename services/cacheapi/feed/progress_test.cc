#include "services/cacheapi/feed/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using ::testing::Optional;

TEST(ProgressTest, APlaceOfL2ThatIsNotBeforeTheSlotIsTrusted) {
  for (const pg::Lsn in_l2 : {100u, 150u}) {
    Progress progress(100);
    EXPECT_FALSE(progress.settled());
    EXPECT_TRUE(progress.Compare(in_l2));
    EXPECT_TRUE(progress.settled());
    EXPECT_EQ(progress.NextToKeep(), std::nullopt) << "it stands there";
  }
}

TEST(ProgressTest, OtherwiseNothingIsKeptUntilL2HasBeenEmptied) {
  for (const std::optional<pg::Lsn> in_l2 : {std::optional<pg::Lsn>(), std::optional<pg::Lsn>(99)}) {
    Progress progress(100);
    EXPECT_FALSE(progress.Compare(in_l2));
    progress.Told(progress.Begin(120));
    EXPECT_FALSE(progress.settled());
    EXPECT_EQ(progress.NextToKeep(), std::nullopt);
    progress.Settle();
    EXPECT_TRUE(progress.settled());
    EXPECT_THAT(progress.NextToKeep(), Optional(120u)) << "the flush has told of what was before it";
  }
}

// A slot that is new has confirmed nothing, and L2 keeps no place.
TEST(ProgressTest, ANewSlotIsInDoubtToo) {
  Progress progress(0);
  EXPECT_FALSE(progress.Compare(std::nullopt));
  progress.Settle();
  EXPECT_EQ(progress.NextToKeep(), std::nullopt) << "there is no place yet";
  progress.Idle(7);
  EXPECT_THAT(progress.NextToKeep(), Optional(7u));
}

TEST(ProgressTest, WhatIsToldOutOfOrderWaitsForWhatIsBeforeIt) {
  Progress progress(10);
  ASSERT_TRUE(progress.Compare(10));
  const uint64_t first = progress.Begin(20), second = progress.Begin(30), third = progress.Begin(40);
  EXPECT_EQ(progress.untold(), 3u);
  progress.Told(third);
  progress.Told(second);
  EXPECT_EQ(progress.told(), 10u);
  EXPECT_EQ(progress.NextToKeep(), std::nullopt);
  progress.Told(first);
  EXPECT_EQ(progress.told(), 40u);
  EXPECT_EQ(progress.untold(), 0u);
}

TEST(ProgressTest, OnePlaceIsWrittenAtATime) {
  Progress progress(10);
  ASSERT_TRUE(progress.Compare(10));
  progress.Told(progress.Begin(20));
  EXPECT_THAT(progress.NextToKeep(), Optional(20u));
  progress.Told(progress.Begin(30));
  progress.Told(progress.Begin(40));
  EXPECT_EQ(progress.NextToKeep(), std::nullopt) << "one is on its way";
  EXPECT_EQ(progress.Kept(), 20u);
  EXPECT_THAT(progress.NextToKeep(), Optional(40u));
  EXPECT_EQ(progress.Kept(), 40u);
  EXPECT_EQ(progress.NextToKeep(), std::nullopt);
}

TEST(ProgressTest, AnIdlePlaceGoesWithWhatIsBeforeItAndTakesNoMemory) {
  Progress progress(10);
  progress.Idle(12);
  ASSERT_TRUE(progress.Compare(11)) << "L2 must have been told of what was confirmed, not of what came since";
  EXPECT_THAT(progress.NextToKeep(), Optional(12u));
  EXPECT_EQ(progress.Kept(), 12u);
  const uint64_t first = progress.Begin(20);
  for (pg::Lsn place = 21; place < 100; ++place) progress.Idle(place);
  EXPECT_EQ(progress.untold(), 1u);
  EXPECT_EQ(progress.NextToKeep(), std::nullopt);
  progress.Told(first);
  EXPECT_THAT(progress.NextToKeep(), Optional(99u));
}

// Whatever the order: never a place behind something untold, and in the end the last one.
TEST(ProgressTest, NoPlaceIsKeptBehindWhatIsUntold) {
  Random random(20261122);
  for (int round = 0; round < 200; ++round) {
    Progress progress(1);
    const bool trusted = random.Below(2) == 0;
    if (trusted) {
      ASSERT_TRUE(progress.Compare(1));
    }
    std::vector<std::pair<uint64_t, pg::Lsn>> untold;
    if (!trusted) untold.emplace_back(Progress::kDoubt, 1);
    pg::Lsn end = 1, kept = 0;
    for (int step = 0; step < 300 || !untold.empty(); ++step) {
      const uint64_t what = random.Below(step < 300 ? 4 : 1);
      if (what == 0 && !untold.empty()) {
        const size_t which = random.Below(untold.size());
        progress.Told(untold[which].first);
        untold.erase(untold.begin() + static_cast<std::ptrdiff_t>(which));
      } else if (what == 1) {
        end += 10;
        untold.emplace_back(progress.Begin(end), end);
      } else if (what == 2) {
        progress.Idle(++end);
      }
      const std::optional<pg::Lsn> next = progress.NextToKeep();
      if (!next) continue;
      EXPECT_GT(*next, kept) << "round " << round;
      for (const auto& [number, place] : untold) ASSERT_LT(*next, place) << "round " << round;
      kept = progress.Kept();
    }
    EXPECT_EQ(kept, end);
    EXPECT_EQ(progress.told(), end);
  }
}

}  // namespace
}  // namespace lab::cacheapi
