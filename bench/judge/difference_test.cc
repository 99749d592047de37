#include "bench/judge/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "bench/judge/testing/recorded.h"
#include "bench/judge/testing/trials.h"
#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

using testing::TestLab;

TEST(DifferenceTest, TailsAreThoseOfTheTables) {
  // Mann and Whitney's table I: n = m = 4, P(U <= 0) = 0.014, P(U <= 1) = 0.029, P(U <= 4) = 0.171.
  EXPECT_NEAR(PairTail(4, 0), 1.0 / 70, 1e-12);
  EXPECT_NEAR(PairTail(4, 1), 2.0 / 70, 1e-12);
  EXPECT_NEAR(PairTail(4, 4), 12.0 / 70, 1e-12);
  EXPECT_NEAR(PairTail(8, 13), 0.025, 0.001);  // the usual critical value at 5 %, two-sided
  EXPECT_NEAR(PairTail(24, 24 * 24), 1, 1e-9);
  EXPECT_NEAR(CoinTail(4, 0), 1.0 / 16, 1e-12);
  EXPECT_NEAR(CoinTail(4, 4), 1, 1e-12);
}

TEST(DifferenceTest, TheFewestBlocks) {
  EXPECT_EQ(LeastBlocks(Pairing::kAllPairs, 1), 4u);
  EXPECT_EQ(LeastBlocks(Pairing::kAllPairs, 2), 5u);
  EXPECT_EQ(LeastBlocks(Pairing::kAllPairs, 7), 6u);
  EXPECT_EQ(LeastBlocks(Pairing::kBlocks, 1), 6u);
  EXPECT_EQ(Allowed(Pairing::kAllPairs, 3, kErrorBound), std::nullopt);
  EXPECT_EQ(Allowed(Pairing::kAllPairs, 4, kErrorBound), 0u);
  EXPECT_EQ(Allowed(Pairing::kAllPairs, 8, kErrorBound), 13u);
  EXPECT_EQ(Allowed(Pairing::kBlocks, 6, kErrorBound), 0u);
}

TEST(DifferenceTest, TheIntervalLeavesOutWhatIsAllowed) {
  const Interval all = IntervalOf({3, 1, 2, 5, 4}, 0), inner = IntervalOf({3, 1, 2, 5, 4}, 1);
  EXPECT_EQ(all.low, 1);
  EXPECT_EQ(all.high, 5);
  EXPECT_EQ(inner.low, 2);
  EXPECT_EQ(inner.high, 4);
  EXPECT_EQ(IntervalOf({7}, 3).low, 7);
  EXPECT_EQ(MiddleOf({4, 1, 2, 3}), 2.5);
}

TEST(DifferenceTest, WhatTheFormDemands) {
  Lab lab = TestLab();
  const auto needed = [&](const std::string& expression) {
    lab.expect = {{"one", expression, 0}};
    return BlocksNeeded(expression, lab);
  };
  EXPECT_EQ(needed("each.p99 <= 25ms"), 0u);
  EXPECT_EQ(needed("b.p99 / a.p99 >= 5"), 4u);
  EXPECT_EQ(needed("b.p99 <= 0.5 * a.p99"), 4u);
  // A bound that a shift of less than 20 % decides.
  EXPECT_EQ(needed("b.p99 <= a.p99"), kBlocksForSmallShift);
  EXPECT_EQ(needed("b.p99 / a.p99 within 0.9 .. 1.1"), kBlocksForSmallShift);
  EXPECT_EQ(needed("b.rate <= a.rate"), 4u) << "the noise of rates is another one";
  EXPECT_EQ(needed("b.p99 <= a.p99 + 5ms"), 4u);
  EXPECT_EQ(needed("b.p99 + c.p99 <= 0.5 * a.p99"), 6u);
  EXPECT_EQ(needed("max(a.p99, b.p99) <= 2ms"), 6u);
}

TEST(DifferenceTest, OneVariantIsRunAgainOnlyWhereVariantsAreCompared) {
  Lab lab = TestLab();
  EXPECT_EQ(NoiseVariant(lab, {}), "");
  lab.expect.push_back({"pays", "b.p99 / a.p99 >= 5", 0});
  EXPECT_EQ(NoiseVariant(lab, {}), "a");
  EXPECT_EQ(NoiseVariant(lab, {"a", "b"}), "a");
  EXPECT_EQ(NoiseVariant(lab, {"b"}), "");
  lab.expect = {{"each", "each.p99 <= 2 * b.p99", 0}};
  EXPECT_EQ(NoiseVariant(lab, {"b"}), "");
  EXPECT_EQ(NoiseVariant(lab, {"b", "c"}), "b");
}

// The p99 of blocks as long as 4 s of 4,000/s, resampled from recorded trials: pieces of 250 ms in a row keep the
// autocorrelation and the heavy tail (moving blocks; Künsch 1989), a block stays within one trial and keeps what that
// trial has in common.
class Recorded {
 public:
  explicit Recorded(Random& random) : random_(random) {
    for (const std::vector<uint16_t>& trial : testing::RecordedLatencies()) {
      std::vector<double>& pool = pools_.emplace_back();
      for (size_t i = 0; i < kPool; ++i) pool.push_back(P99(trial));
    }
  }

  // `blocks` of two arms as a run would have recorded them: A B, B A, A B … of trials in their order.
  std::pair<std::vector<double>, std::vector<double>> InOrder(size_t blocks) {
    std::pair<std::vector<double>, std::vector<double>> arms;
    size_t trial = random_.Below(pools_.size());
    for (size_t i = 0; i < blocks; ++i) {
      double first = Block(trial++), second = Block(trial++);
      if (i % 2 == 1) std::swap(first, second);
      arms.first.push_back(first);
      arms.second.push_back(second);
    }
    return arms;
  }

  // The same of trials in no order: what interleaving takes away comes back.
  std::pair<std::vector<double>, std::vector<double>> Shuffled(size_t blocks) {
    std::pair<std::vector<double>, std::vector<double>> arms;
    for (size_t i = 0; i < blocks; ++i) {
      arms.first.push_back(Block(random_.Next()));
      arms.second.push_back(Block(random_.Next()));
    }
    return arms;
  }

 private:
  static constexpr size_t kPool = 40, kPiece = 1'000, kPieces = 16;

  double Block(size_t trial) { return pools_[trial % pools_.size()][random_.Below(kPool)]; }

  double P99(const std::vector<uint16_t>& trial) {
    std::vector<uint16_t> block;
    for (size_t i = 0; i < kPieces; ++i) {
      const auto begin = trial.begin() + static_cast<int64_t>(random_.Below(trial.size() - kPiece));
      block.insert(block.end(), begin, begin + kPiece);
    }
    const auto place = block.begin() + static_cast<int64_t>(block.size() * 99 / 100);
    std::nth_element(block.begin(), place, block.end());
    return *place;
  }

  Random& random_;
  std::vector<std::vector<double>> pools_;
};

// As the judge decides: the interval of the ratio does not contain 1.
bool Different(const std::vector<double>& a, const std::vector<double>& b, double shift) {
  std::vector<double> ratios;
  for (const double one : a) {
    for (const double other : b) ratios.push_back(shift * other / one);
  }
  const Interval interval = IntervalOf(std::move(ratios), *Allowed(Pairing::kAllPairs, a.size(), kErrorBound));
  return interval.low > 1 || interval.high < 1;
}

constexpr int kResamples = 2'000;

TEST(RecordedRunsTest, TheSameDesignIsHardlyEverDifferentFromItself) {
  Random random(20261121);
  Recorded recorded(random);
  for (const size_t blocks : {size_t{4}, size_t{5}, size_t{8}, kBlocksForSmallShift}) {
    int in_order = 0, shuffled = 0;
    for (int i = 0; i < kResamples; ++i) {
      const auto ordered = recorded.InOrder(blocks), mixed = recorded.Shuffled(blocks);
      in_order += Different(ordered.first, ordered.second, 1);
      shuffled += Different(mixed.first, mixed.second, 1);
    }
    std::cout << blocks << " blocks: different in " << 100.0 * in_order / kResamples << " % of " << kResamples
              << " A/A resamples in order, " << 100.0 * shuffled / kResamples << " % shuffled\n";
    EXPECT_LE(in_order, 0.065 * kResamples) << blocks << " blocks";
    EXPECT_LE(shuffled, 0.065 * kResamples) << blocks << " blocks";
  }
}

TEST(RecordedRunsTest, AFifthMoreOfThe99thPercentileIsFound) {
  Random random(20261121);
  Recorded recorded(random);
  const auto found = [&](size_t blocks, bool in_order) {
    int times = 0;
    for (int i = 0; i < kResamples; ++i) {
      const auto arms = in_order ? recorded.InOrder(blocks) : recorded.Shuffled(blocks);
      times += Different(arms.first, arms.second, kSmallShift);
    }
    std::cout << blocks << " blocks " << (in_order ? "in order" : "shuffled") << ": a shift by 20 % found in "
              << 100.0 * times / kResamples << " %\n";
    return times;
  };
  EXPECT_GE(found(kBlocksForSmallShift, true), 0.8 * kResamples);
  EXPECT_GE(found(kBlocksForSmallShift, false), 0.8 * kResamples) << "even without interleaving";
  EXPECT_LT(found(8, true), 0.8 * kResamples) << "fewer blocks would do: lower kBlocksForSmallShift";
}

}  // namespace
}  // namespace lab::bench
