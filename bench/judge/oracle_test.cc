#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iostream>
#include <map>

#include "bench/judge/limiter_oracle.h"
#include "services/runtime/base/random.h"

// The oracle against definitions written out in full, on random histories.
namespace lab::bench {
namespace {

using Kind = Decision::Kind;

bool IsAdmitted(const Decision& decision) { return decision.kind == Kind::kAdmitted; }

uint64_t SlowMostInWindow(const std::vector<Decision>& decisions, int64_t window) {
  uint64_t most = 0;
  for (const Decision& first : decisions) {
    uint64_t count = 0;
    for (const Decision& other : decisions) {
      count += IsAdmitted(other) && other.from >= first.from && other.to < first.from + window ? 1 : 0;
    }
    if (IsAdmitted(first)) most = std::max(most, count);
  }
  return most;
}

uint64_t SlowMostAligned(const std::vector<Decision>& decisions, int64_t window, int64_t origin) {
  std::map<int64_t, uint64_t> counts;
  for (const Decision& decision : decisions) {
    const int64_t from = (origin + decision.from) / window, to = (origin + decision.to) / window;
    if (IsAdmitted(decision) && from == to) ++counts[from];
  }
  uint64_t most = 0;
  for (const auto& [start, count] : counts) most = std::max(most, count);
  return most;
}

FalseDecisions SlowCompare(const std::vector<Decision>& decisions, uint64_t limit, int64_t window) {
  FalseDecisions result;
  for (const Decision& one : decisions) {
    if (!one.judged || one.kind == Kind::kUnknown) continue;
    ++result.answered;
    uint64_t certain = 0, possible = 0;
    for (const Decision& other : decisions) {
      if (IsAdmitted(other) && other.to < one.from && other.from > one.to - window) ++certain;
      const bool maybe = other.kind != Kind::kLimited;
      if (maybe && other.from <= one.to && other.to > one.from - window) ++possible;
    }
    if (IsAdmitted(one) && certain >= limit) ++result.allowed;
    if (one.kind == Kind::kLimited && possible < limit) ++result.denied;
  }
  return result;
}

std::vector<Decision> RandomHistory(Random& random) {
  std::vector<Decision> decisions;
  const uint64_t count = random.Below(60);
  const uint64_t longest = 1 + random.Below(40);
  for (uint64_t i = 0; i < count; ++i) {
    Decision decision;
    decision.from = static_cast<int64_t>(random.Below(300));
    decision.to = decision.from + static_cast<int64_t>(random.Below(longest));
    decision.kind = static_cast<Kind>(random.Below(3));
    decision.judged = random.Below(4) != 0;
    decisions.push_back(decision);
  }
  return decisions;
}

TEST(LimiterOracleTest, AgreesWithBruteForce) {
  const uint64_t seed = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  for (int round = 0; round < 3000; ++round) {
    const std::vector<Decision> history = RandomHistory(random);
    const int64_t window = 1 + static_cast<int64_t>(random.Below(80));
    const int64_t origin = static_cast<int64_t>(random.Below(1000));
    const uint64_t limit = 1 + random.Below(8);
    ASSERT_EQ(MostInWindow(history, window).count, SlowMostInWindow(history, window)) << "round " << round;
    ASSERT_EQ(MostInAlignedWindow(history, window, origin).count, SlowMostAligned(history, window, origin));
    const FalseDecisions fast = CompareWithExactLog(history, limit, window);
    const FalseDecisions slow = SlowCompare(history, limit, window);
    ASSERT_EQ(fast.allowed, slow.allowed) << "round " << round;
    ASSERT_EQ(fast.denied, slow.denied) << "round " << round;
    ASSERT_EQ(fast.answered, slow.answered);
  }
}

// A limiter that decides at a hidden moment inside of [from, to], by an exact sliding log.
std::vector<Decision> ExactLimiter(Random& random, uint64_t limit, int64_t window, bool generous) {
  std::vector<std::pair<int64_t, Decision>> made;
  for (int i = 0; i < 200; ++i) {
    const int64_t moment = static_cast<int64_t>(random.Below(2000));
    const int64_t before = static_cast<int64_t>(random.Below(20)), after = static_cast<int64_t>(random.Below(20));
    made.push_back({moment, {moment - before, moment + after, Kind::kLimited, true}});
  }
  std::sort(made.begin(), made.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::deque<int64_t> log;
  for (auto& [moment, decision] : made) {
    while (!log.empty() && log.front() <= moment - window) log.pop_front();
    if (log.size() >= limit + (generous ? 1 : 0)) continue;
    decision.kind = Kind::kAdmitted;
    log.push_back(moment);
  }
  std::vector<Decision> decisions;
  for (const auto& [moment, decision] : made) decisions.push_back(decision);
  return decisions;
}

TEST(LimiterOracleTest, NeverAccusesAnExactLimiterAndConvictsAGenerousOne) {
  Random random(7);
  uint64_t convicted = 0;
  for (int round = 0; round < 300; ++round) {
    const uint64_t limit = 1 + random.Below(5);
    const int64_t window = 100 + static_cast<int64_t>(random.Below(200));
    const std::vector<Decision> right = ExactLimiter(random, limit, window, false);
    EXPECT_LE(MostInWindow(right, window).count, limit);
    const FalseDecisions none = CompareWithExactLog(right, limit, window);
    EXPECT_EQ(none.allowed, 0u);
    EXPECT_EQ(none.denied, 0u);
    convicted += CompareWithExactLog(ExactLimiter(random, limit, window, true), limit, window).allowed > 0 ? 1 : 0;
  }
  EXPECT_GT(convicted, 250u);
}

// Replicas that share a limit by fixed windows, each deciding at a hidden moment: `slack` hits more a window than the
// limit, or fewer.
std::vector<Decision> WindowLimiter(Random& random, uint64_t limit, int64_t window, int64_t slack) {
  std::vector<std::pair<int64_t, Decision>> made;
  for (int i = 0; i < 300; ++i) {
    const int64_t moment = static_cast<int64_t>(random.Below(2000));
    const int64_t before = static_cast<int64_t>(random.Below(5)), after = static_cast<int64_t>(random.Below(5));
    made.push_back({moment, {moment - before, moment + after, Kind::kLimited, true}});
  }
  std::sort(made.begin(), made.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::map<int64_t, int64_t> counts;
  std::vector<Decision> decisions;
  for (auto& [moment, decision] : made) {
    if (counts[moment / window]++ < static_cast<int64_t>(limit) + slack) decision.kind = Kind::kAdmitted;
    decisions.push_back(decision);
  }
  return decisions;
}

TEST(LimiterOracleTest, OneExactLimiterIsTheMeasureOfManyReplicas) {
  Random random(11);
  uint64_t over = 0, under = 0;
  for (int round = 0; round < 200; ++round) {
    const uint64_t limit = 4 + random.Below(5);
    const int64_t window = 100 + static_cast<int64_t>(random.Below(100));
    const WindowDifference exact = CompareWithExactWindows(WindowLimiter(random, limit, window, 0), limit, window, 0);
    EXPECT_EQ(exact.over, 0u);
    EXPECT_EQ(exact.under, 0u);
    EXPECT_GT(exact.exact, 0u);
    over += CompareWithExactWindows(WindowLimiter(random, limit, window, 3), limit, window, 0).over > 0 ? 1 : 0;
    under += CompareWithExactWindows(WindowLimiter(random, limit, window, -3), limit, window, 0).under > 0 ? 1 : 0;
  }
  EXPECT_GT(over, 190u);
  EXPECT_GT(under, 190u);
}

TEST(LimiterOracleTest, CountsAgainstTheExactLimiterOnlyWhatIsCertain) {
  const auto compare = [](const std::vector<Decision>& decisions) {
    return CompareWithExactWindows(decisions, 2, 100, 50);
  };
  // Windows end at 50 and 150. Three admitted in one: one too many; the one across the edge may belong to the other.
  EXPECT_EQ(compare({{60, 70}, {61, 70}, {62, 70}}).over, 1u);
  EXPECT_EQ(compare({{60, 70}, {61, 70}, {40, 70}}).over, 0u);
  // Two came and one was admitted: one too few; not so where another, or one unknown, may have been admitted there.
  const Decision limited{62, 70, Kind::kLimited};
  EXPECT_EQ(compare({{60, 70}, limited}).under, 1u);
  EXPECT_EQ(compare({{60, 70}, limited, {40, 70}}).under, 0u);
  EXPECT_EQ(compare({{60, 70}, limited, {10, 400, Kind::kUnknown}}).under, 0u);
  EXPECT_EQ(compare({{60, 70}, limited, {80, 90, Kind::kAdmitted, false}}).under, 0u) << "outside of the phase";
  EXPECT_EQ(compare({{60, 70}, limited}).exact, 2u);
}

TEST(LimiterOracleTest, WindowsAreHalfOpenAndSayWhereTheyBegin) {
  const std::vector<Decision> apart = {{0, 0}, {100, 100}};
  EXPECT_EQ(MostInWindow(apart, 100).count, 1u);
  EXPECT_EQ(MostInWindow(apart, 101).count, 2u);
  const Burst burst = MostInWindow({{0, 0}, {500, 510}, {505, 512}}, 20);
  EXPECT_EQ(burst.count, 2u);
  EXPECT_EQ(burst.begin, 500);
  EXPECT_EQ(MostInWindow({}, 10).count, 0u);
  // One decision that may lie on either side of an edge belongs to neither window for certain.
  EXPECT_EQ(MostInAlignedWindow({{95, 105}, {101, 102}}, 100, 0).count, 1u);
  EXPECT_EQ(MostInAlignedWindow({{95, 99}, {101, 102}}, 100, 50).count, 2u);
  EXPECT_EQ(MostInAlignedWindow({{95, 99}, {101, 102}}, 100, 50).begin, 50);
}

}  // namespace
}  // namespace lab::bench
