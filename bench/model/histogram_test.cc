#include "bench/model/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/model/quantile.h"
#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

// Values over all magnitudes from 1 ns to 1 h, as latencies of a healthy and a stalled system mix them.
std::vector<int64_t> MixedValues(uint64_t seed, size_t count) {
  Random random(seed);
  std::vector<int64_t> values;
  for (size_t i = 0; i < count; ++i) {
    values.push_back(static_cast<int64_t>(std::exp(random.Uniform() * std::log(3.6e12))));
  }
  return values;
}

TEST(HistogramTest, EveryQuantileIsWithinOnePercentOfAnExactSort) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::vector<int64_t> values = MixedValues(seed, 1 + seed * 977);
    Histogram histogram;
    for (const int64_t value : values) histogram.Add(value);
    for (double quantile = 0; quantile <= 1.0; quantile += 0.001) {
      const auto exact = static_cast<double>(QuantileOf(values, quantile));
      const auto told = static_cast<double>(histogram.Quantile(quantile));
      ASSERT_GE(told, exact) << quantile;
      ASSERT_LE(told, exact * 1.01) << quantile;
    }
    std::sort(values.begin(), values.end());
    EXPECT_EQ(histogram.max(), values.back());
    EXPECT_EQ(histogram.min(), values.front());
    EXPECT_EQ(histogram.Quantile(1), values.back());
  }
}

TEST(QuantileTest, IsTheNearestRank) {
  EXPECT_EQ(QuantileRank(0, 100), 1u);
  EXPECT_EQ(QuantileRank(0.5, 100), 50u);
  EXPECT_EQ(QuantileRank(0.501, 100), 51u);
  EXPECT_EQ(QuantileRank(0.55, 100), 55u) << "0.55 * 100 is a little more than 55 in binary";
  EXPECT_EQ(QuantileRank(0.999, 5'000'000), 4'995'000u);
  EXPECT_EQ(QuantileRank(0.9991, 1'000'000'000), 999'100'000u);
  EXPECT_EQ(QuantileRank(1, 100), 100u);
  EXPECT_EQ(QuantileRank(7, 1), 1u);
  std::vector<int64_t> values = {50, 10, 40, 20, 30};
  EXPECT_EQ(QuantileOf(values, 0.6), 30);
  EXPECT_EQ(QuantileOf(values, 0.61), 40);
}

TEST(HistogramTest, MergedPartsEqualTheWhole) {
  const std::vector<int64_t> values = MixedValues(7, 30'000);
  Histogram whole;
  std::vector<Histogram> parts(7);
  for (size_t i = 0; i < values.size(); ++i) {
    whole.Add(values[i]);
    parts[i % parts.size()].Add(values[i]);
  }
  Histogram merged;
  for (const Histogram& part : parts) merged.Merge(part);
  EXPECT_EQ(merged.Buckets(), whole.Buckets());
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_EQ(merged.max(), whole.max());
  EXPECT_EQ(merged.min(), whole.min());
  EXPECT_NEAR(merged.mean(), whole.mean(), whole.mean() * 1e-9);
}

TEST(HistogramTest, SmallValuesAreExactAndRanksAreNotOffByOne) {
  Histogram histogram;
  for (int64_t value = 1; value <= 100; ++value) histogram.Add(value);
  EXPECT_EQ(histogram.Quantile(0), 1);
  EXPECT_EQ(histogram.Quantile(0.5), 50);
  EXPECT_EQ(histogram.Quantile(0.99), 99);
  EXPECT_EQ(histogram.Quantile(0.991), 100);
  EXPECT_DOUBLE_EQ(histogram.mean(), 50.5);
}

TEST(HistogramTest, OutsideValuesAreClampedAndCounted) {
  Histogram histogram;
  histogram.Add(-5);
  histogram.Add(int64_t{7'200'000'000'000}, 2);
  histogram.Add(9, 0);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), int64_t{7'200'000'000'000});
  EXPECT_EQ(histogram.Buckets().size(), 2u);
}

TEST(HistogramTest, EmptyIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Quantile(0.99), 0);
  EXPECT_EQ(histogram.max(), 0);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.mean(), 0);
  EXPECT_TRUE(histogram.Buckets().empty());
}

}  // namespace
}  // namespace lab::bench
