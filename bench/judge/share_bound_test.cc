#include "bench/judge/share_bound.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lab::bench {
namespace {

// P(Binomial(tries, share) <= hits), term by term.
double Cumulated(uint64_t hits, uint64_t tries, double share) {
  double sum = 0;
  for (uint64_t i = 0; i <= hits; ++i) {
    const double n = static_cast<double>(tries), k = static_cast<double>(i);
    sum += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) + k * std::log(share) +
                    (n - k) * std::log1p(-share));
  }
  return sum;
}

TEST(ShareBoundTest, IsWhereSoFewHitsBecomeUnlikely) {
  for (const uint64_t tries : {1u, 2u, 7u, 30u, 100u, 500u}) {
    for (uint64_t hits = 0; hits < tries; hits += 1 + tries / 9) {
      for (const double confidence : {0.5, 0.95, 0.99}) {
        const double bound = ShareAtMost(hits, tries, confidence);
        EXPECT_NEAR(Cumulated(hits, tries, bound), 1 - confidence, 1e-9) << hits << " of " << tries;
      }
    }
  }
}

TEST(ShareBoundTest, OfNothingSeenItIsTheRuleOfThree) {
  EXPECT_NEAR(ShareAtMost(0, 1'000), 3.0 / 1'000, 1e-5);
  EXPECT_NEAR(ShareAtMost(0, 1'000'000'000), 3e-9, 1e-11);
  EXPECT_LT(ShareAtMost(0, 1'000), 3.0 / 1'000) << "the rule rounds up";
}

TEST(ShareBoundTest, IsFiniteAndOrderedForLargeNumbers) {
  EXPECT_NEAR(ShareAtMost(1, 1'000'000), 4.743'865e-6, 1e-10) << "half of a chi-square quantile: 9.487729 / 2";
  EXPECT_NEAR(ShareAtMost(500'000, 1'000'000), 0.5 + 1.645 * 0.0005, 1e-5) << "near the normal approximation";
  double last = 0;
  for (uint64_t hits = 0; hits <= 1'000'000; hits += 50'000) {
    const double bound = ShareAtMost(hits, 1'000'000);
    EXPECT_GT(bound, last);
    EXPECT_GE(bound, static_cast<double>(hits) / 1e6);
    last = bound;
  }
}

TEST(ShareBoundTest, ClaimsNothingOfNothing) {
  EXPECT_EQ(ShareAtMost(0, 0), 1);
  EXPECT_EQ(ShareAtMost(3, 3), 1);
}

}  // namespace
}  // namespace lab::bench
