#include "bench/judge/median_interval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

TEST(MedianIntervalTest, FewValuesAreTakenWholeAndSayWhatTheyAreWorth) {
  for (size_t count : {1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    const MedianRanks ranks = MedianInterval(count);
    EXPECT_EQ(ranks.low, 0u) << count;
    EXPECT_EQ(ranks.high, count - 1) << count;
  }
  EXPECT_DOUBLE_EQ(MedianInterval(1).coverage, 0);
  EXPECT_DOUBLE_EQ(MedianInterval(4).coverage, 0.875);
  EXPECT_DOUBLE_EQ(MedianInterval(5).coverage, 0.9375);
}

// The textbook's tables: of 8 the 2nd and 7th, of 20 the 6th and 15th (95 %: of 20, 0.9586).
TEST(MedianIntervalTest, ManyValuesAreCutAtBothEnds) {
  EXPECT_EQ(MedianInterval(8).low, 1u);
  EXPECT_NEAR(MedianInterval(8).coverage, 0.9297, 1e-4);
  EXPECT_EQ(MedianInterval(20, 0.95).low, 5u);
  EXPECT_EQ(MedianInterval(20, 0.95).high, 14u);
  EXPECT_NEAR(MedianInterval(20, 0.95).coverage, 0.9586, 1e-4);
}

TEST(MedianIntervalTest, CoversAsOftenAsItSaysWhateverTheTail) {
  Random random(20261121);
  for (size_t count : {3u, 5u, 9u}) {
    const MedianRanks ranks = MedianInterval(count);
    int covered = 0;
    constexpr int kTrials = 20'000;
    for (int trial = 0; trial < kTrials; ++trial) {
      std::vector<double> values;
      for (size_t i = 0; i < count; ++i) values.push_back(std::pow(random.Uniform(), -3));  // Pareto; median 8
      std::sort(values.begin(), values.end());
      covered += values[ranks.low] <= 8 && 8 <= values[ranks.high];
    }
    EXPECT_NEAR(covered / static_cast<double>(kTrials), ranks.coverage, 0.015) << count;
  }
}

}  // namespace
}  // namespace lab::bench
