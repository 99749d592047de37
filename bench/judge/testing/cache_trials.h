#pragma once

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "bench/judge/testing/trials.h"

// Hand-made trials of a cache with known answers, for the tests of the judge.
namespace lab::bench::testing {

inline Lab CacheLab() {
  Lab lab = TestLab();
  lab.system.push_back({"cacheapi", "cacheapi", 2, {}, {}, 0});
  lab.load[0].target = "cacheapi.mixed";
  return lab;
}

// What these trials say, by an expression of values; NumberOf fails the test where they say nothing.
inline Evidence OfCache(const Trial& trial, const std::string& expression) {
  return Value(trial, expression, CacheLab());
}
inline double NumberOf(const Trial& trial, const std::string& expression) {
  const Evidence evidence = OfCache(trial, expression);
  EXPECT_TRUE(evidence.value.has_value()) << expression << ": " << evidence.why;
  return evidence.value.value_or(-1);
}

// A trial of just these operations on one key.
inline Trial OneKey(std::vector<Op> ops) {
  Trial trial = EmptyTrial();
  trial.streams[0].target = "cacheapi.mixed";
  trial.ops = std::move(ops);
  KeepSchedule(trial);
  return trial;
}

// How far behind the answers of every other replica are.
struct CacheFlaw {
  int64_t behind_ms = 0;
  bool misses = false;      // every second read is loaded
  double loads_per_s = 10;  // by the counter of the origin
};

// 15 s of 1,000 a second on ten keys by four sessions, one in twenty a write; two replicas answer in turn, within 1 ms.
inline Trial CacheTrial(const CacheFlaw& flaw = {}) {
  constexpr int kKeys = 10, kOps = 15'000;
  Trial trial = EmptyTrial("a", kKeys);
  trial.streams[0].target = "cacheapi.mixed";
  std::array<std::vector<int64_t>, kKeys> written;  // when version 2, 3, … was acknowledged
  for (int i = 0; i < kOps; ++i) {
    Op op = At(i * kMs, kMs, Answer::kHitShared, static_cast<uint32_t>(i % kKeys));
    const int round = i / kKeys;
    std::vector<int64_t>& times = written[op.key];
    op.session = static_cast<uint16_t>(1 + round / 2 % 4);
    if (round % 20 == 0) {
      times.push_back(op.done_ns);
      op.ask = Ask::kWrite;
      op.answer = Answer::kWritten;
      op.version = static_cast<uint32_t>(1 + times.size());
    } else {
      const int64_t seen_ns = op.sent_ns - (round % 2 == 1 ? flaw.behind_ms * kMs : 0);
      op.version = 1;
      for (const int64_t at : times) op.version += at <= seen_ns ? 1 : 0;
      if (flaw.misses && round % 2 == 1) op.answer = Answer::kMiss;
    }
    trial.ops.push_back(op);
  }
  KeepSchedule(trial);
  Series loads{"cacheapi", "cacheapi_origin_reads_total", {}, {}};
  for (int at = -1; at <= 16; ++at) loads.samples.emplace_back(at, flaw.loads_per_s * (at + 1));
  trial.series = {loads};
  AtRest rest;
  rest.written = rest.asked = kKeys;
  for (int key = 0; key < kKeys; ++key) {
    const uint64_t there = 1 + written[static_cast<size_t>(key)].size();
    for (const char* place : {"redis", "cacheapi-0", "cacheapi-1"}) {
      const bool late = flaw.behind_ms > 0 && place[0] == 'c' && key == 3;
      rest.reads.push_back(
          {place, "brand-" + std::to_string(key) + " window=24h", there, late ? there - 1 : there, Answer::kHitShared});
    }
  }
  for (int key = 0; key < kKeys; ++key) {
    const uint64_t there = 1 + written[static_cast<size_t>(key)].size();
    rest.reads.push_back({"postgres", "brand-" + std::to_string(key), there, there, Answer::kNone});
  }
  trial.at_rest = rest;
  return trial;
}

inline Trial BadCacheTrial() { return CacheTrial({2'000, true, 1'000}); }

}  // namespace lab::bench::testing
