#include "bench/run/knee_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "bench/model/quantile.h"
#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

using ::testing::HasSubstr;

// A service as a queue: Poisson arrivals, exponential service of `mean_s` at `servers` servers, first come, first
// served (M/M/c). Each probe begins empty and warms up for a while, as real ones do.
struct Queue {
  int servers = 1;
  double mean_s = 0.001;
  uint64_t seed = 1;

  KneeProbe Offer(double rate, double seconds, double objective_s) {
    Random random(seed++);
    constexpr double kWarm_s = 0.25;
    std::multiset<double> free_at;
    for (int i = 0; i < servers; ++i) free_at.insert(0);
    std::vector<int64_t> latencies;
    for (double at = random.Exponential(1 / rate); at < kWarm_s + seconds; at += random.Exponential(1 / rate)) {
      const double begin = std::max(at, *free_at.begin());
      free_at.erase(free_at.begin());
      const double end = begin + random.Exponential(mean_s);
      free_at.insert(end);
      if (at >= kWarm_s) latencies.push_back(static_cast<int64_t>((end - at) * 1e9));
    }
    KneeProbe probe;
    probe.samples = latencies.size();
    probe.p99_s = latencies.empty() ? 0 : static_cast<double>(QuantileOf(latencies, 0.99)) / 1e9;
    probe.meets = probe.p99_s <= objective_s;
    return probe;
  }
};

class KneeSearchTest : public testing::Test {
 protected:
  // Time passes only in probes.
  Knee Find(const std::function<KneeProbe(double rate, double seconds)>& service) {
    return FindKnee(
        search_,
        [&](double rate, double seconds) -> absl::StatusOr<KneeProbe> {
          now_s_ += seconds + search_.overhead_s;
          return service(rate, seconds);
        },
        [&] { return now_s_; });
  }
  static std::function<KneeProbe(double, double)> Step(double knee) {
    return [knee](double rate, double) {
      KneeProbe probe;
      probe.meets = rate <= knee;
      return probe;
    };
  }

  KneeSearch search_;
  double now_s_ = 0;
};

TEST_F(KneeSearchTest, IsWithinItsToleranceOfASharpEdge) {
  for (double edge : {230.0, 450.0, 999.0, 1000.0, 1001.0, 7300.0, 63'999.0, 200'000.0}) {
    now_s_ = 0;
    const Knee knee = Find(Step(edge));
    ASSERT_TRUE(knee.per_s) << edge << ": " << knee.why;
    EXPECT_LE(*knee.per_s, edge);
    EXPECT_GE(*knee.per_s * (1 + search_.tolerance) * (1 + 1e-9), edge);
    EXPECT_LE(knee.took_s, search_.budget_s);
    EXPECT_EQ(std::count_if(knee.probes.begin(), knee.probes.end(),
                            [](const KneeProbe& probe) { return probe.purpose == "confirm"; }),
              search_.confirmations);
  }
}

// Of M/M/1 the time in the system is exponential with rate mu - lambda: the knee of p99 <= T lies at mu - ln(100) / T
// (Kleinrock, "Queueing Systems", vol. 1, 1975, section 3.2).
TEST_F(KneeSearchTest, FindsTheKneeOfASingleServerQueue) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    now_s_ = 0;
    Queue queue{1, 0.0001, seed * 1000};  // 10,000/s at most
    constexpr double kObjective_s = 0.005;
    const double truth = 10'000 - std::log(100.0) / kObjective_s;
    const Knee knee = Find([&](double rate, double seconds) { return queue.Offer(rate, seconds, kObjective_s); });
    ASSERT_TRUE(knee.per_s) << knee.why;
    EXPECT_NEAR(*knee.per_s / truth, 1, 0.08) << seed;
  }
}

TEST_F(KneeSearchTest, FindsTheKneeOfSeveralServers) {
  constexpr double kObjective_s = 0.004;
  // The truth from a long simulation: no closed form of this quantile is as easily believed.
  double truth = 0;
  for (double rate = 3000; rate < 4000; rate += 20) {
    Queue queue{4, 0.001, 77};
    if (queue.Offer(rate, 60, kObjective_s + 0.001 * std::log(100.0)).meets) truth = rate;
  }
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    now_s_ = 0;
    Queue queue{4, 0.001, seed * 1000};
    const Knee knee = Find([&](double rate, double seconds) {
      return queue.Offer(rate, seconds, kObjective_s + 0.001 * std::log(100.0));
    });
    ASSERT_TRUE(knee.per_s) << knee.why;
    EXPECT_NEAR(*knee.per_s / truth, 1, 0.1) << seed << ", truth " << truth;
  }
}

TEST_F(KneeSearchTest, OneHiccupDoesNotEndTheDoubling) {
  int probes = 0;
  const Knee knee = Find([&](double rate, double) {
    KneeProbe probe;
    probe.meets = ++probes != 2 && rate <= 9000;  // the second probe falls into a pause of the host
    return probe;
  });
  ASSERT_TRUE(knee.per_s) << knee.why;
  EXPECT_NEAR(*knee.per_s / 9000, 1, 0.06);
}

TEST_F(KneeSearchTest, AHiccupInTheBisectionIsUndone) {
  int probes = 0;
  const Knee knee = Find([&](double rate, double) {
    KneeProbe probe;
    probe.meets = ++probes != 7 && rate <= 15'500;  // 1, 2, 4, 8 thousand, 16 twice, then the first of the bisection
    return probe;
  });
  ASSERT_TRUE(knee.per_s) << knee.why;
  EXPECT_NEAR(*knee.per_s / 15'500, 1, 0.06);
}

// Short probes are lucky far beyond what a longer one meets, and each second confirmation misses: a wide edge on a busy
// host. The search must not end with nothing.
TEST_F(KneeSearchTest, OfAWideEdgeTheLowerPartIsTold) {
  constexpr double kSurely = 35'000, kLuck = 62'000;
  int confirmations = 0;
  const Knee knee = Find([&](double rate, double seconds) {
    KneeProbe probe;
    const bool lucky = seconds < search_.confirm_s || ++confirmations % 2 == 0;
    probe.meets = rate <= kSurely || (lucky && rate <= kLuck);
    return probe;
  });
  ASSERT_TRUE(knee.per_s) << knee.why;
  EXPECT_TRUE(knee.at_least);
  EXPECT_LE(*knee.per_s, kSurely);
  EXPECT_GE(*knee.per_s, kSurely / 2);
  EXPECT_LE(knee.took_s, search_.budget_s);
}

// Noise of the answers near the edge: each probe misses with a probability that rises across it. What is told errs to
// the safe side, and seldom by much.
TEST_F(KneeSearchTest, NoiseNearTheEdgeStaysNearTheEdge) {
  Random random(4711);
  int far = 0;
  for (int run = 0; run < 200; ++run) {
    now_s_ = 0;
    const Knee knee = Find([&](double rate, double) {
      KneeProbe probe;
      probe.meets = random.Uniform() > 1 / (1 + std::exp(-(rate - 20'000) / 600));
      return probe;
    });
    ASSERT_TRUE(knee.per_s) << knee.why;
    EXPECT_LE(*knee.per_s, 21'500);
    EXPECT_LE(knee.took_s, search_.budget_s);
    far += *knee.per_s < 17'500;
  }
  EXPECT_LE(far, 10);
}

// The time ends while it looks further up.
TEST_F(KneeSearchTest, WhatWasConfirmedStandsWhenTheTimeEnds) {
  int probes = 0;
  const Knee knee = Find([&](double rate, double) {
    KneeProbe probe;
    probe.meets = rate <= 1500 || (++probes > 6 && rate <= 1600 + 40 * probes);  // quicker with every probe
    return probe;
  });
  ASSERT_TRUE(knee.per_s) << knee.why;
  EXPECT_GE(*knee.per_s, 1400);
  EXPECT_LE(knee.took_s, search_.budget_s);
}

// A service that misses at some rates and meets again above them: what is told is a rate that holds, with one above it
// that does not.
TEST_F(KneeSearchTest, OfSeveralEdgesItIsOne) {
  const auto meets = [](double rate) { return rate <= 3000 || (rate > 3600 && rate <= 12'000); };
  const Knee knee = Find([&](double rate, double) {
    KneeProbe probe;
    probe.meets = meets(rate);
    return probe;
  });
  ASSERT_TRUE(knee.per_s) << knee.why;
  EXPECT_TRUE(meets(*knee.per_s));
  EXPECT_FALSE(meets(*knee.per_s * 1.11) && meets(*knee.per_s * 1.06));
}

TEST_F(KneeSearchTest, SaysWhyThereIsNone) {
  EXPECT_THAT(Find(Step(0)).why, HasSubstr("not even"));
  now_s_ = 0;
  search_.budget_s = 300;
  EXPECT_THAT(Find(Step(1e9)).why, HasSubstr("still meets the objective"));
  now_s_ = 0;
  search_.budget_s = 5;
  const Knee late = Find(Step(63'000));
  EXPECT_THAT(late.why, HasSubstr("within 5 s"));
  EXPECT_FALSE(late.per_s);
  EXPECT_LE(now_s_, 5);
  now_s_ = 0;
  const Knee failed = FindKnee(
      search_, [](double, double) { return absl::UnavailableError("the part died"); }, [&] { return now_s_; });
  EXPECT_EQ(failed.why, "the part died");
  EXPECT_FALSE(failed.per_s);
}

// Lucky at every second probe: whatever it tells, it was not confirmed by luck alone.
TEST_F(KneeSearchTest, ContradictionsAreNoKnee) {
  int probes = 0;
  const Knee knee = Find([&](double, double) {
    KneeProbe probe;
    probe.meets = ++probes % 3 == 0;
    return probe;
  });
  EXPECT_FALSE(knee.per_s);
  EXPECT_NE(knee.why, "");
}

}  // namespace
}  // namespace lab::bench
