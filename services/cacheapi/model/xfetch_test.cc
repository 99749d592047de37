#include "services/cacheapi/model/xfetch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

using std::chrono::seconds;

const Clock::time_point kExpiry = Clock::time_point(seconds(1'000));

TEST(XFetchTest, AtTheExpiryAlways) {
  EXPECT_TRUE(RecomputeEarly(kExpiry, kExpiry, Nanos(0), 0, 0));
  EXPECT_TRUE(RecomputeEarly(kExpiry + seconds(1), kExpiry, Millis(100), 1, 0));
}

TEST(XFetchTest, BeforeItAsTheFormulaSays) {
  // -ln(1 - u) = 2 for u = 1 - e^-2: early by twice the delta.
  const double uniform = 1 - std::exp(-2.0);
  EXPECT_TRUE(RecomputeEarly(kExpiry - Millis(199), kExpiry, Millis(100), 1, uniform));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Millis(201), kExpiry, Millis(100), 1, uniform));
  EXPECT_TRUE(RecomputeEarly(kExpiry - Millis(599), kExpiry, Millis(100), 3, uniform));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Millis(601), kExpiry, Millis(100), 3, uniform));
}

TEST(XFetchTest, WithoutBetaOrDeltaNever) {
  const double most = 1 - 0x1p-53;
  EXPECT_FALSE(RecomputeEarly(kExpiry - Nanos(1), kExpiry, Millis(100), 0, most));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Nanos(1), kExpiry, Millis(100), -1, most));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Nanos(1), kExpiry, Nanos(0), 1, most));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Nanos(1), kExpiry, Nanos(-5), 1, most));
  EXPECT_FALSE(RecomputeEarly(kExpiry - Nanos(1), kExpiry, Millis(100), std::nan(""), most));
  EXPECT_TRUE(RecomputeEarly(kExpiry - std::chrono::hours(10), kExpiry, std::chrono::hours(1), 1, most))
      << "36 deltas at most, and no overflow";
}

struct Cycle {
  double recomputations = 0;  // per expiry
  double gap_s = 0;           // of the first one, before the expiry
};

// Poisson reads of one key; a recomputation takes delta and is seen by the reads after it.
Cycle Simulate(double beta, double reads_per_s, double delta_s, int cycles) {
  Random random(20261122);
  const auto at = [](double s) { return kExpiry + Nanos(static_cast<int64_t>(s * 1e9)); };
  const Nanos delta(static_cast<int64_t>(delta_s * 1e9));
  Cycle mean;
  for (int cycle = 0; cycle < cycles; ++cycle) {
    double now = -16 * beta * delta_s;  // long before the expiry: so early one in 10,000 cycles begins
    double done = std::numeric_limits<double>::max();
    for (; now < done; now += random.Exponential(1 / reads_per_s)) {
      if (!RecomputeEarly(at(now), kExpiry, delta, beta, random.Uniform())) continue;
      if (done > now + delta_s) {
        done = now + delta_s;
        mean.gap_s -= now / cycles;
      }
      mean.recomputations += 1.0 / cycles;
    }
  }
  return mean;
}

// e^(1/beta) whatever the rate is: the law is a limit for many reads within a delta, from above.
TEST(XFetchTest, RecomputationsPerExpiryFollowTheLaw) {
  for (const double beta : {0.5, 1.0, 2.0}) {
    const double law = std::exp(1 / beta);
    for (const double rate : {1'000.0, 2'000.0}) {
      const Cycle mean = Simulate(beta, rate, 0.1, 1'000);
      EXPECT_GT(mean.recomputations, 0.93 * law) << "beta " << beta << ", " << rate << "/s";
      EXPECT_LT(mean.recomputations, 1.12 * law) << "beta " << beta << ", " << rate << "/s";
      const double gap = beta * 0.1 * (std::log(rate * beta * 0.1) + 0.577);
      EXPECT_NEAR(mean.gap_s, gap, 0.06 * gap) << "beta " << beta << ", " << rate << "/s";
    }
  }
}

TEST(XFetchTest, WithoutItEveryReadOfADeltaRecomputes) {
  const Cycle mean = Simulate(1e-9, 1'000, 0.1, 2'000);
  EXPECT_NEAR(mean.recomputations, 101, 3) << "the first, and rate * delta";
}

}  // namespace
}  // namespace lab::cacheapi
