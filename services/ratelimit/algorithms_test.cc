// Each algorithm against its theory, by replay in virtual time: worst window, burst, long-run share, retry-after.

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "services/ratelimit/decide.h"
#include "services/ratelimit/memory_store.h"
#include "services/runtime/base/random.h"

namespace lab::ratelimit {
namespace {

constexpr UnixMicros kStart = 1'790'000'000 * kSecondUs - 1'790'000'000 * kSecondUs % (60 * kSecondUs);
constexpr int64_t kWindow = 60 * kSecondUs;
constexpr uint32_t kLimit = 100;

Limit Make(Algorithm algorithm, uint32_t requests = kLimit, int64_t window = kWindow, uint32_t burst = 0) {
  return MakeLimit(algorithm, requests, window, burst).value();
}

// Which of `arrivals` are admitted, through the store in memory (which keeps logs too).
std::vector<UnixMicros> Replay(const Limit& limit, const std::vector<UnixMicros>& arrivals) {
  MemoryStore store(10);
  std::vector<UnixMicros> admitted;
  for (const UnixMicros now : arrivals) {
    Batch batch;
    batch.now = now;
    batch.AddGroup();
    batch.AddTerm("k", {&limit});
    store.Run(batch, [](absl::Status) {});
    TermResult result;
    if (DecideRequest(batch.terms, absl::MakeSpan(batch.states), now, {&result, 1})) admitted.push_back(now);
  }
  return admitted;
}

// The most that lie within (t, t + width] for any t.
int64_t Worst(const std::vector<UnixMicros>& times, int64_t width) {
  size_t worst = 0;
  for (size_t first = 0, last = 0; last < times.size(); ++last) {
    while (times[last] - times[first] >= width) ++first;
    worst = std::max(worst, last - first + 1);
  }
  return static_cast<int64_t>(worst);
}

std::vector<UnixMicros> Burst(UnixMicros at, int count) {
  return std::vector<UnixMicros>(static_cast<size_t>(count), at);
}

std::vector<UnixMicros> Even(UnixMicros from, int64_t length, double per_window) {
  std::vector<UnixMicros> times;
  const double step = kWindow / per_window;
  for (double at = 0; at < static_cast<double>(length); at += step) times.push_back(from + static_cast<int64_t>(at));
  return times;
}

std::vector<UnixMicros> operator+(std::vector<UnixMicros> left, const std::vector<UnixMicros>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// 2 × limit just before and just after the edge of a window.
std::vector<UnixMicros> AtTheEdge() {
  return Burst(kStart + kWindow - kSecondUs / 10, 2 * kLimit) + Burst(kStart + kWindow + kSecondUs / 10, 2 * kLimit);
}

TEST(FixedWindowTest, AdmitsTwiceTheLimitAcrossAnEdgeAndNeverMore) {
  const Limit limit = Make(Algorithm::kFixedWindow);
  EXPECT_EQ(Worst(Replay(limit, AtTheEdge()), kWindow), 2 * kLimit);
  EXPECT_EQ(Worst(Replay(limit, AtTheEdge()), kSecondUs), 2 * kLimit);
  EXPECT_LE(Worst(Replay(limit, Even(kStart, 10 * kWindow, 20 * kLimit)), kWindow), 2 * kLimit);
  EXPECT_EQ(Replay(limit, Even(kStart, 10 * kWindow, 20 * kLimit)).size(), 10 * kLimit);  // long run: just the limit
}

TEST(SlidingLogTest, NeverAdmitsMoreThanTheLimitInAnyWindow) {
  const Limit limit = Make(Algorithm::kSlidingLog);
  EXPECT_EQ(Worst(Replay(limit, AtTheEdge()), kWindow), kLimit);
  EXPECT_EQ(Worst(Replay(limit, Even(kStart, 10 * kWindow, 20 * kLimit)), kWindow), kLimit);
}

// A burst late in one window, then a flood: the counter takes the burst as spread evenly.
TEST(SlidingCounterTest, AdmitsAlmostTwiceTheLimitAfterALateBurstAndNeverMore) {
  const Limit limit = Make(Algorithm::kSlidingCounter);
  const auto late = kStart + kWindow * 975 / 1000;
  const auto times = Burst(late, kLimit) + Even(kStart + kWindow, kWindow, 20 * kLimit);
  const int64_t worst = Worst(Replay(limit, times), kWindow);
  EXPECT_GE(worst, kLimit * 19 / 10);
  EXPECT_LE(worst, 2 * kLimit);
  EXPECT_EQ(Worst(Replay(limit, AtTheEdge()), kSecondUs), kLimit);
}

TEST(SlidingCounterTest, StarvesAPersistentClientWhenItCountsTheRejected) {
  Limit broken = Make(Algorithm::kSlidingCounter);
  broken.count_rejected = true;
  const auto arrivals = Even(kStart, 20 * kWindow, 1.2 * kLimit);
  EXPECT_GE(Replay(Make(Algorithm::kSlidingCounter), arrivals).size(), 20 * kLimit * 97 / 100);
  EXPECT_LE(Replay(broken, arrivals).size(), 20 * kLimit / 5);
}

TEST(TokenBucketTest, AdmitsTheBurstPlusTheRateInAnyTime) {
  Random random(7);
  for (const uint32_t burst : {10u, 100u, 250u}) {
    const Limit limit = Make(Algorithm::kTokenBucket, kLimit, kWindow, burst);
    std::vector<UnixMicros> arrivals;
    UnixMicros at = kStart;
    for (int i = 0; i < 20'000; ++i) {
      at += static_cast<int64_t>(random.Exponential(kWindow / (5.0 * kLimit)));
      arrivals.push_back(at);
      if (random.Below(500) == 0) arrivals = arrivals + Burst(at += 4 * kWindow, 300);  // after a pause
    }
    const auto admitted = Replay(limit, arrivals);
    for (const int64_t time : {kSecondUs, kWindow / 4, kWindow, 5 * kWindow}) {
      EXPECT_LE(Worst(admitted, time), burst + kLimit * time / kWindow + 1) << "burst " << burst << " time " << time;
    }
    EXPECT_GE(Worst(admitted, kSecondUs), burst);  // the bound is reached, so it says something
  }
}

TEST(GcraTest, AdmitsWhatATokenBucketAdmits) {
  Random random(11);
  for (const uint32_t burst : {1u, 10u, 100u}) {
    // 60 s / 100 is a whole number of ticks: nothing is rounded, and the two may not differ.
    const Limit gcra = Make(Algorithm::kGcra, kLimit, kWindow, burst);
    const Limit bucket = Make(Algorithm::kTokenBucket, kLimit, kWindow, burst);
    std::vector<UnixMicros> arrivals;
    UnixMicros at = kStart;
    for (int i = 0; i < 5'000; ++i) arrivals.push_back(at += static_cast<int64_t>(random.Exponential(kWindow / 150.0)));
    const auto by_gcra = Replay(gcra, arrivals);
    const auto by_bucket = Replay(bucket, arrivals);
    EXPECT_NEAR(static_cast<double>(by_gcra.size()), static_cast<double>(by_bucket.size()), 2);
    EXPECT_LE(Worst(by_gcra, kWindow), burst + kLimit);
  }
}

TEST(GcraTest, NeverExceedsItsRateWhereTheIntervalIsRounded) {
  const Limit limit = Make(Algorithm::kGcra, 900'000, kSecondUs, 10);  // 17.8 ticks, rounded up to 18
  EXPECT_EQ(limit.interval_ticks, 18);
  std::vector<UnixMicros> arrivals;
  for (int64_t us = 0; us < 200'000; ++us) arrivals.insert(arrivals.end(), 2, kStart + us);
  const auto admitted = Replay(limit, arrivals);
  EXPECT_LE(admitted.size(), 180'010u);
  EXPECT_GE(admitted.size(), 170'000u);
}

class EveryAlgorithm : public testing::TestWithParam<Algorithm> {
 protected:
  Limit limit() const { return Make(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Algorithms, EveryAlgorithm,
                         testing::Values(Algorithm::kFixedWindow, Algorithm::kSlidingLog, Algorithm::kSlidingCounter,
                                         Algorithm::kTokenBucket, Algorithm::kGcra),
                         [](const auto& test) { return std::string(Name(test.param)); });

// One decision on plain states; a log is summed up from its entries.
struct Key {
  State state{};
  LogEntries log;
  bool Ask(const Limit& limit, UnixMicros now, uint64_t hits, TermResult& result) {
    if (limit.algorithm == Algorithm::kSlidingLog) {
      log.Trim(now, limit);
      state.sliding_log = log.Summary(now, limit, hits);
    }
    const State before = state;
    const Term term{&limit, hits, false};
    const bool passed = DecideRequest({&term, 1}, {&state, 1}, now, {&result, 1});
    if (limit.algorithm == Algorithm::kSlidingLog) {
      log.Push(now, static_cast<uint64_t>(state.sliding_log.count - before.sliding_log.count));
    }
    return passed;
  }
};

// "Retry after": not before, and then it passes.
TEST_P(EveryAlgorithm, RetryAfterIsTheFirstMomentThatPasses) {
  Random random(23);
  for (int round = 0; round < 300; ++round) {
    Key key;
    UnixMicros now = kStart + static_cast<int64_t>(random.Below(kWindow));
    TermResult result;
    for (int i = 0; i < 400; ++i) {
      now += static_cast<int64_t>(random.Below(kWindow / 50));
      const uint64_t hits = 1 + random.Below(30);
      if (key.Ask(limit(), now, hits, result)) continue;
      ASSERT_GT(result.retry_after_us, 0);
      Key early = key, at = key;
      TermResult ignored;
      EXPECT_TRUE(at.Ask(limit(), now + result.retry_after_us + 1, hits, ignored)) << "round " << round;
      if (result.retry_after_us > 2) {
        EXPECT_FALSE(early.Ask(limit(), now + result.retry_after_us - 2, hits, ignored)) << "round " << round;
      }
      break;
    }
  }
}

TEST_P(EveryAlgorithm, MoreHitsThanTheLimitNeverPass) {
  Key key;
  TermResult result;
  EXPECT_FALSE(key.Ask(limit(), kStart, kLimit + 1, result));
  EXPECT_EQ(result.retry_after_us, kNever);
  EXPECT_FALSE(key.Ask(limit(), kStart, kMaxHits, result));
  EXPECT_TRUE(key.Ask(limit(), kStart, kLimit, result)) << "the denied ones must not have been charged";
  EXPECT_EQ(result.remaining, 0u);
}

TEST_P(EveryAlgorithm, ALookChargesNothingAndSaysWhatOneHitWouldGet) {
  Key key;
  TermResult result;
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(key.Ask(limit(), kStart, 0, result));
  EXPECT_EQ(result.remaining, kLimit);
  ASSERT_TRUE(key.Ask(limit(), kStart, kLimit, result));
  EXPECT_FALSE(key.Ask(limit(), kStart, 0, result));
}

// Steps back by less and by more than a window: never more in a real window of the clock that is re-lived, and no lock-
// out for longer than a window.
TEST_P(EveryAlgorithm, AClockThatStepsBackOpensNoFreshWindow) {
  for (const int64_t step : {kWindow / 3, kWindow, 10 * kWindow}) {
    Key key;
    TermResult result;
    const UnixMicros now = kStart + 20 * kWindow + kWindow / 10;
    ASSERT_TRUE(key.Ask(limit(), now, kLimit, result));
    const bool log_dropped = GetParam() == Algorithm::kSlidingLog && step > kWindow;  // one loss of state, as stated
    EXPECT_EQ(key.Ask(limit(), now - step, 1, result), log_dropped) << "step " << step;
    EXPECT_TRUE(key.Ask(limit(), now - step + 2 * kWindow, 1, result)) << "locked out after a step of " << step;
  }
}

TEST_P(EveryAlgorithm, KeepsCountingExactlyAtTheLargestLimits) {
  const uint32_t huge = GetParam() == Algorithm::kSlidingLog ? kMaxLogRequests
                        : GetParam() == Algorithm::kGcra     ? 1'000'000'000
                                                             : 4'294'967'295u;
  const Limit limit = Make(GetParam(), huge, 3600 * kSecondUs);
  Key key;
  TermResult result;
  ASSERT_TRUE(key.Ask(limit, kStart, huge - 1, result));
  EXPECT_EQ(result.remaining, 1u);
  EXPECT_TRUE(key.Ask(limit, kStart, 1, result));
  EXPECT_FALSE(key.Ask(limit, kStart, 1, result));
}

TEST(LimitTest, RefusesWhatItCannotHoldExactly) {
  EXPECT_FALSE(MakeLimit(Algorithm::kSlidingLog, 100'001, kWindow).ok());
  EXPECT_FALSE(MakeLimit(Algorithm::kGcra, 1'000'001, kSecondUs).ok());
  EXPECT_TRUE(MakeLimit(Algorithm::kGcra, 1'000'000, kSecondUs).ok());
  EXPECT_FALSE(MakeLimit(Algorithm::kFixedWindow, 1, 999).ok());
  EXPECT_FALSE(MakeLimit(Algorithm::kFixedWindow, 1, 366 * kDayUs).ok());
  EXPECT_FALSE(MakeLimit(Algorithm::kFixedWindow, 10, kWindow, 5).ok());
  EXPECT_FALSE(MakeLimit(Algorithm::kTokenBucket, 1, 365 * kDayUs, 4'294'967'295u).ok());
}

TEST(LimitTest, ZeroRequestsDenyEverything) {
  for (const auto algorithm : {Algorithm::kFixedWindow, Algorithm::kSlidingLog, Algorithm::kGcra}) {
    const Limit limit = Make(algorithm, 0);
    Key key;
    TermResult result;
    EXPECT_FALSE(key.Ask(limit, kStart, 1, result));
    EXPECT_FALSE(key.Ask(limit, kStart, 0, result));
  }
}

TEST(LimitTest, AShareIsNeverZeroAndTheSharesNeverMoreThanTheWhole) {
  const Limit whole = Make(Algorithm::kTokenBucket, 10, kWindow, 7);
  EXPECT_EQ(Share(whole, 3).requests, 3u);
  EXPECT_EQ(Share(whole, 3).burst, 2u);
  EXPECT_EQ(Share(whole, 100).requests, 1u);
  EXPECT_EQ(Share(Make(Algorithm::kFixedWindow, 0), 3).requests, 0u);
}

}  // namespace
}  // namespace lab::ratelimit
