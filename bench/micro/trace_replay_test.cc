#include "bench/micro/trace_replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

using eviction::EvictionKind;
using testing::ElementsAre;
using testing::HasSubstr;

std::string ErrorOf(std::string_view text, TraceFormat format) {
  return std::string(ParseTrace(text, format).status().message());
}

TEST(ParseTraceTest, ArcLinesAreRanges) {
  EXPECT_THAT(ParseTrace("10 3 0 1\n\n7 1 0 2\r\n5 0 0 3\n1 2 0 4", TraceFormat::kArc).value(),
              ElementsAre(10, 11, 12, 7, 1, 2));
  EXPECT_TRUE(ParseTrace("", TraceFormat::kArc)->empty());
}

TEST(ParseTraceTest, ArcLinesThatAreNoneAreNamed) {
  for (const char* text : {"1 1 0 1\n2 1\n", "1 1 0 1\nx 1 0 2\n", "1 1 0 1\n2 -1 0 2", "1 1 0 1\n2 1 0 2 5\n",
                           "1 1 0 1\n+2 1 0 2\n", "1 1 0 1\n99999999999999999999 1 0 2\n"}) {
    EXPECT_THAT(ErrorOf(text, TraceFormat::kArc), HasSubstr("line 2: not \"start count")) << text;
  }
  EXPECT_THAT(ErrorOf("1 1 0 1\n1 18446744073709551615 0 2\n", TraceFormat::kArc),
              HasSubstr("line 2: a trace of more"));
}

TEST(ParseTraceTest, KeysAreNumbersOrText) {
  const Trace trace = ParseTrace("5\nbrand a\n5\n brand a\nbrand a\n", TraceFormat::kKeys).value();
  ASSERT_EQ(trace.size(), 5u);
  EXPECT_EQ(trace[0], 5u);
  EXPECT_EQ(trace[2], 5u);
  EXPECT_EQ(trace[1], trace[4]);
  EXPECT_NE(trace[1], trace[3]);
}

TEST(ParseTraceTest, OracleGeneralRecordsHoldTheKeyAtFour) {
  std::string record(24, '\x7f');
  record.replace(4, 8, std::string("\x01\x02\x00\x00\x00\x00\x00\x80", 8));
  EXPECT_THAT(ParseTrace(record + record, TraceFormat::kOracleGeneral).value(),
              ElementsAre(0x8000000000000201, 0x8000000000000201));
  EXPECT_THAT(ErrorOf(record + "x", TraceFormat::kOracleGeneral), HasSubstr("record 2: 1 of 24 bytes"));
}

TEST(ParseTraceTest, FormatsHaveNames) {
  EXPECT_EQ(TraceFormatOf("arc"), TraceFormat::kArc);
  EXPECT_EQ(TraceFormatOf("keys"), TraceFormat::kKeys);
  EXPECT_EQ(TraceFormatOf("oracle_general"), TraceFormat::kOracleGeneral);
  EXPECT_FALSE(TraceFormatOf("csv").has_value());
}

uint64_t Hits(std::string_view keys, EvictionKind kind, size_t entries) {
  return Replay(ParseTrace(keys, TraceFormat::kKeys).value(), kind, entries).hits;
}

TEST(ReplayTest, ByHand) {
  // 1 2 3 miss, 1 hits, 4 evicts 2, 2 evicts 3, 1 and 4 hit.
  EXPECT_EQ(Hits("1\n2\n3\n1\n4\n2\n1\n4\n", EvictionKind::kLru, 3), 3u);
  // A loop that is one longer than the cache: LRU never hits.
  EXPECT_EQ(Hits("1\n2\n3\n1\n2\n3\n1\n2\n3\n", EvictionKind::kLru, 2), 0u);
  EXPECT_GT(Hits("1\n2\n3\n1\n2\n3\n1\n2\n3\n1\n2\n3\n", EvictionKind::kTinyLfu, 2), 0u);
  EXPECT_EQ(Replay({}, EvictionKind::kLru, 1).hit_ratio(), 0);
}

// Reuse distances: LRU of n entries hits exactly when fewer than n different keys were asked for since the last time
// (Mattson et al., "Evaluation techniques for storage hierarchies", 1970).
uint64_t HitsByReuseDistance(const Trace& trace, size_t entries) {
  uint64_t hits = 0;
  for (size_t at = 0; at < trace.size(); ++at) {
    std::vector<uint64_t> between;
    for (size_t before = at; before-- > 0 && between.size() < entries;) {
      if (trace[before] == trace[at]) {
        ++hits;
        break;
      }
      if (std::find(between.begin(), between.end(), trace[before]) == between.end()) between.push_back(trace[before]);
    }
  }
  return hits;
}

// A few popular keys, many that come once, and a scan now and then.
Trace Synthetic(size_t length) {
  Random random(33);
  Trace trace;
  uint64_t once = 1'000'000;
  while (trace.size() < length) {
    if (random.Below(1'000) == 0) {
      for (int i = 0; i < 300; ++i) trace.push_back(once++);
    }
    const bool popular = random.Below(3) > 0;
    // Pareto: key k about as often as 1 / k.
    trace.push_back(popular ? static_cast<uint64_t>(std::exp(random.Uniform() * std::log(2'000.0))) : once++);
  }
  return trace;
}

TEST(ReplayTest, LruIsWhatReuseDistancesSay) {
  const Trace trace = Synthetic(4'000);
  for (const size_t entries : {1u, 7u, 50u, 200u}) {
    EXPECT_EQ(Replay(trace, EvictionKind::kLru, entries).hits, HitsByReuseDistance(trace, entries)) << entries;
  }
}

TEST(ReplayTest, BetterPoliciesAreBetterWhereManyKeysComeOnce) {
  const Trace trace = Synthetic(200'000);
  const double lru = Replay(trace, EvictionKind::kLru, 200).hit_ratio();
  const double s3fifo = Replay(trace, EvictionKind::kS3Fifo, 200).hit_ratio();
  const double tinylfu = Replay(trace, EvictionKind::kTinyLfu, 200).hit_ratio();
  EXPECT_GT(s3fifo, lru + 0.04);
  EXPECT_GT(tinylfu, lru + 0.04);
  // Nobody can do better than to keep the 200 most popular: ln 200 / ln 2000 of two thirds, less the scans.
  EXPECT_LT(tinylfu, 0.667 * std::log(200.0) / std::log(2'000.0) + 0.01);
}

}  // namespace
}  // namespace lab::bench
