#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/judge/testing/cache_trials.h"

namespace lab::bench {
namespace {

using testing::CacheLab;
using testing::CacheTrial;
using ::testing::HasSubstr;
using testing::kMs;
using testing::NumberOf;
using testing::OfCache;
using testing::OneKey;

// One key: written twice, read by two sessions.
Op Asked(int64_t at_ms, Ask ask, uint32_t version, uint16_t session) {
  Op op = testing::At(at_ms * kMs, 2 * kMs, ask == Ask::kWrite ? Answer::kWritten : Answer::kHitShared);
  op.ask = ask;
  op.version = version;
  op.session = session;
  return op;
}

TEST(StalenessValuesTest, ByHand) {
  const Trial trial =
      OneKey({Asked(1'000, Ask::kWrite, 2, 1), Asked(1'001, Ask::kRead, 1, 1), Asked(1'010, Ask::kRead, 1, 2),
              Asked(1'052, Ask::kRead, 1, 1), Asked(1'060, Ask::kRead, 2, 2), Asked(1'302, Ask::kRead, 1, 2)});
  EXPECT_EQ(NumberOf(trial, "stale_reads"), 3) << "the one that overlaps the write may be as old";
  EXPECT_DOUBLE_EQ(NumberOf(trial, "stale_share"), 3.0 / 5);
  EXPECT_DOUBLE_EQ(NumberOf(trial, "staleness_max"), 0.3);
  EXPECT_EQ(NumberOf(trial, "read_your_writes"), 1);
  EXPECT_EQ(NumberOf(trial, "monotonic_reads"), 1);
  EXPECT_EQ(NumberOf(trial, "inconsistent_after{t=100ms}"), 1) << "300 ms after it a read was as old";
  EXPECT_EQ(OfCache(trial, "inconsistent_after{t=400ms}").why, "nobody read a key in time after it had been written");
  EXPECT_THAT(OfCache(trial, "staleness_p99").why, HasSubstr("too few"));
  EXPECT_EQ(NumberOf(trial, "stale_reads{phase=steady}"), 3);
  EXPECT_FALSE(OfCache(trial, "stale_reads{phase=pause}").value.has_value());
}

TEST(StalenessValuesTest, WhatIsNoEvidence) {
  EXPECT_THAT(OfCache(OneKey({Asked(0, Ask::kRead, 1, 1)}), "stale_reads").why, HasSubstr("nothing was written"));
  EXPECT_THAT(OfCache(OneKey({Asked(0, Ask::kWrite, 2, 1)}), "stale_reads").why, HasSubstr("no read"));
  const Trial nobody = OneKey({Asked(0, Ask::kWrite, 2, 0), Asked(10, Ask::kRead, 2, 0)});
  EXPECT_EQ(NumberOf(nobody, "stale_reads"), 0);
  EXPECT_THAT(OfCache(nobody, "read_your_writes").why, HasSubstr("sessions"));
  // A clock or a record that is wrong is not the cache's doing.
  const Trial wrong = OneKey({Asked(0, Ask::kWrite, 2, 1), Asked(10, Ask::kWrite, 2, 1), Asked(20, Ask::kRead, 2, 1)});
  EXPECT_THAT(OfCache(wrong, "stale_reads").why, HasSubstr("version 2 is there twice"));
  // A write without an answer is no commit, what was missing on purpose no read.
  Trial unknown = OneKey({Asked(0, Ask::kWrite, 2, 1), Asked(10, Ask::kRead, 1, 1)});
  unknown.ops[0].outcome = Outcome::kUnknown;
  EXPECT_THAT(OfCache(unknown, "stale_reads").why, HasSubstr("nothing was written"));
  Trial missing = OneKey({Asked(0, Ask::kWrite, 2, 1), Asked(10, Ask::kMissing, 0, 1)});
  EXPECT_THAT(OfCache(missing, "stale_reads").why, HasSubstr("no read"));
}

TEST(StalenessValuesTest, TheBoundIsNoBetterThanTheSample) {
  const Trial good = CacheTrial();
  EXPECT_EQ(NumberOf(good, "inconsistent_after{t=100ms}"), 0);
  const Evidence bound = OfCache(good, "inconsistent_at_most{t=100ms}");
  EXPECT_NEAR(*bound.value, 3.0 / static_cast<double>(bound.samples), 1e-4);
  EXPECT_GT(NumberOf(testing::BadCacheTrial(), "inconsistent_after{t=1s}"), 0.9);
  EXPECT_LT(NumberOf(testing::BadCacheTrial(), "inconsistent_after{t=3s}"), 0.1) << "it is 2 s behind";
}

TEST(StalenessValuesTest, ASessionIsOneAcrossLoads) {
  Trial trial = OneKey({Asked(0, Ask::kWrite, 2, 3), Asked(10, Ask::kRead, 1, 3), Asked(20, Ask::kRead, 1, 4)});
  trial.streams.push_back(trial.streams[0]);
  trial.streams[1].name = "reads";
  trial.ops[1].stream = trial.ops[2].stream = 1;
  testing::KeepSchedule(trial);
  EXPECT_EQ(NumberOf(trial, "read_your_writes{stream=reads}"), 1) << "the write of another stream counts";
}

TEST(CacheValuesTest, HitsByTier) {
  Trial trial = CacheTrial();
  for (size_t i = 0; i < trial.ops.size(); ++i) {
    if (trial.ops[i].ask != Ask::kRead) continue;
    trial.ops[i].answer = i % 4 == 0   ? Answer::kHitLocal
                          : i % 4 == 1 ? Answer::kHitShared
                          : i % 4 == 2 ? Answer::kStale
                                       : Answer::kCoalesced;
  }
  for (const char* tier : {"l1", "l2", "stale"}) {
    EXPECT_NEAR(NumberOf(trial, std::string("hit_ratio{tier=") + tier + "}"), 0.25, 0.01) << tier;
  }
  EXPECT_NEAR(NumberOf(trial, "hit_ratio"), 0.75, 0.01);
  for (Op& op : trial.ops) op.answer = op.ask == Ask::kWrite ? op.answer : Answer::kNone;
  EXPECT_FALSE(OfCache(trial, "hit_ratio").value.has_value());
}

TEST(CacheValuesTest, LoadsPerExpiry) {
  Trial trial = CacheTrial();  // 10 a second
  EXPECT_NEAR(NumberOf(trial, "origin_loads{phase=steady}"), 50, 1e-6);
  EXPECT_NEAR(NumberOf(trial, "loads_per_expiry{phase=steady, ttl=500ms}"), 5, 1e-6);
  EXPECT_NEAR(NumberOf(trial, "loads_per_expiry{phase=steady, ttl=500ms, keys=5}"), 1, 1e-6);
  EXPECT_THAT(OfCache(trial, "loads_per_expiry{phase=steady}").why, HasSubstr("ttl="));
  for (const double at : {1.0, 2.0, 3.0, 4.0, 7.0}) {
    FaultRecord fault;
    fault.fault = at == 2.0 ? "redis.delete" : "redis.expire";
    fault.asked_s = at;
    fault.seen_s = at + 0.01;
    if (at == 4.0) fault.seen_s.reset();
    trial.faults.push_back(fault);
  }
  EXPECT_NEAR(NumberOf(trial, "loads_per_expiry{phase=steady}"), 50.0 / 3, 1e-6) << "those that were seen, then";
}

TEST(CacheValuesTest, ReadsAndWritesApart) {
  const Trial trial = CacheTrial();
  EXPECT_EQ(NumberOf(trial, "ok{ops=reads}") + NumberOf(trial, "ok{ops=writes}"), NumberOf(trial, "ok"));
  EXPECT_EQ(NumberOf(trial, "ok{ops=writes}"), 750);
  EXPECT_EQ(OfCache(trial, "latency_p50{ops=writes}").samples, 750u);
  EXPECT_THAT(CheckExpression(CacheLab(), "ok{ops=write}", ExpressionUse::kValue), HasSubstr("writes"));
  EXPECT_THAT(CheckExpression(CacheLab(), "hit_ratio{tier=l3}", ExpressionUse::kValue), HasSubstr("tier"));
}

}  // namespace
}  // namespace lab::bench
