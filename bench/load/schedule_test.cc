#include "bench/load/schedule.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "bench/load/rate_curve.h"

namespace lab::bench {
namespace {

constexpr size_t kMany = 10'000'000;

LoadSpec Load(Arrivals arrivals, double per_s, uint32_t keys = 10) {
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.grpc";
  load.arrivals = arrivals;
  load.rate.per_s = per_s;
  load.keys.count = keys;
  return load;
}

std::vector<Arrival> Schedule(const LoadSpec& load, const std::vector<Phase>& phases, uint64_t seed = 1,
                              int64_t start_unix_ns = 0) {
  const auto schedule = MakeSchedule(load, phases, seed, start_unix_ns, kMany);
  EXPECT_TRUE(schedule.ok()) << schedule.status();
  return schedule.ok() ? *schedule : std::vector<Arrival>();
}

size_t Count(const std::vector<Arrival>& schedule, double begin_s, double end_s) {
  return static_cast<size_t>(std::count_if(schedule.begin(), schedule.end(), [&](const Arrival& arrival) {
    const double at_s = static_cast<double>(arrival.intended_ns) / 1e9;
    return at_s >= begin_s && at_s < end_s;
  }));
}

// Poisson counts stay within five standard deviations in all but one of 1.7 million cases.
void ExpectPoissonCount(size_t count, double mean) {
  EXPECT_NEAR(static_cast<double>(count), mean, 5 * std::sqrt(mean));
}

bool Same(const std::vector<Arrival>& a, const std::vector<Arrival>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Arrival& x, const Arrival& y) {
    return x.intended_ns == y.intended_ns && x.key == y.key;
  });
}

TEST(ScheduleTest, ConstantIsEvenAndExact) {
  const std::vector<Arrival> schedule = Schedule(Load(Arrivals::kConstant, 4000), {{"a", 0, 1.5}, {"b", 1.5, 3}});
  ASSERT_EQ(schedule.size(), 12'000u);
  for (size_t i = 1; i < schedule.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(schedule[i].intended_ns - schedule[i - 1].intended_ns), 250'000, 2);
  }
}

TEST(ScheduleTest, PoissonGapsAreExponential) {
  const double rate = 2000;
  const std::vector<Arrival> schedule = Schedule(Load(Arrivals::kPoisson, rate), {{"a", 0, 50}});
  ExpectPoissonCount(schedule.size(), rate * 50);
  std::vector<double> gaps;
  int64_t before = 0;
  for (const Arrival& arrival : schedule) {
    gaps.push_back(static_cast<double>(arrival.intended_ns - before) / 1e9);
    before = arrival.intended_ns;
  }
  double mean = 0, variance = 0;
  for (const double gap : gaps) mean += gap / static_cast<double>(gaps.size());
  for (const double gap : gaps) variance += (gap - mean) * (gap - mean) / static_cast<double>(gaps.size());
  EXPECT_NEAR(mean * rate, 1, 0.02);
  EXPECT_NEAR(variance * rate * rate, 1, 0.05);
  // Kolmogorov-Smirnov against 1 - e^-x, critical value for 0.1 %.
  std::sort(gaps.begin(), gaps.end());
  double distance = 0;
  for (size_t i = 0; i < gaps.size(); ++i) {
    const double expected = 1 - std::exp(-gaps[i] * rate);
    distance = std::max(distance, std::abs(expected - static_cast<double>(i) / static_cast<double>(gaps.size())));
  }
  EXPECT_LT(distance, 1.95 / std::sqrt(static_cast<double>(gaps.size())));
}

TEST(ScheduleTest, PoissonCountsInWindowsHaveVarianceEqualToMean) {
  const std::vector<Arrival> schedule = Schedule(Load(Arrivals::kPoisson, 1000), {{"a", 0, 100}}, 3);
  std::vector<double> counts(10'000);
  for (const Arrival& arrival : schedule) ++counts[static_cast<size_t>(arrival.intended_ns / 10'000'000)];
  double mean = 0, variance = 0;
  for (const double count : counts) mean += count / 10'000;
  for (const double count : counts) variance += (count - mean) * (count - mean) / 10'000;
  EXPECT_NEAR(variance / mean, 1, 0.08);
}

TEST(ScheduleTest, RampGoesFromOneRateToTheOther) {
  LoadSpec load = Load(Arrivals::kRamp, 1000);
  load.ramp_to_per_s = 9000;
  const std::vector<Arrival> schedule = Schedule(load, {{"a", 0, 4}, {"b", 4, 10}});
  ExpectPoissonCount(schedule.size(), 50'000);
  ExpectPoissonCount(Count(schedule, 0, 1), 1400);
  ExpectPoissonCount(Count(schedule, 9, 10), 8600);
}

TEST(ScheduleTest, StepHasEquallyLongLevels) {
  LoadSpec load = Load(Arrivals::kStep, 1000);
  load.ramp_to_per_s = 3000;
  load.steps = 2;
  const std::vector<Arrival> schedule = Schedule(load, {{"a", 0, 9}});
  ExpectPoissonCount(Count(schedule, 0, 3), 3000);
  ExpectPoissonCount(Count(schedule, 3, 6), 6000);
  ExpectPoissonCount(Count(schedule, 6, 9), 9000);
}

TEST(ScheduleTest, SpikeIsTheMiddleThird) {
  LoadSpec load = Load(Arrivals::kSpike, 500);
  load.ramp_to_per_s = 5000;
  const std::vector<Arrival> schedule = Schedule(load, {{"a", 0, 9}});
  ExpectPoissonCount(Count(schedule, 0, 3), 1500);
  ExpectPoissonCount(Count(schedule, 3, 6), 15'000);
  ExpectPoissonCount(Count(schedule, 6, 9), 1500);
}

TEST(ScheduleTest, APhaseMayHaveARateOfItsOwnAndBeSilent) {
  LoadSpec load = Load(Arrivals::kConstant, 100);
  load.rate.by_phase = {{"silent", 0}, {"busy", 2000}};
  const std::vector<Arrival> schedule = Schedule(load, {{"first", 0, 1}, {"silent", 1, 3}, {"busy", 3, 4}});
  EXPECT_EQ(Count(schedule, 0, 1), 100u);
  EXPECT_EQ(Count(schedule, 1, 3), 0u);
  EXPECT_EQ(Count(schedule, 3, 4), 2000u);
}

TEST(ScheduleTest, BurstsStandAtPlacesOfTheEpoch) {
  LoadSpec load = Load(Arrivals::kPoisson, 0, 3);
  load.rate.by_phase = {{"a", 0}, {"b", 0}};
  load.bursts = {{"b", std::chrono::seconds(2), {0.25, 0.75}, 4}};
  load.lanes = {{"x", {}}, {"y", {}}};
  // t = 0 is 0.3 s into a period; phase b is [1, 5): places at 0.2 (too early), 1.2, 2.2, 3.2 and 4.2 s.
  const int64_t start = int64_t{1'700'000'000} * 1'000'000'000 + 300'000'000;
  const std::vector<Arrival> schedule = Schedule(load, {{"a", 0, 1}, {"b", 1, 5}}, 1, start);
  ASSERT_EQ(schedule.size(), 4u * 12u);
  for (size_t i = 0; i < schedule.size(); ++i) {
    const int64_t place = 1'200'000'000 + static_cast<int64_t>(i / 12) * 1'000'000'000;
    EXPECT_EQ(schedule[i].intended_ns, place + static_cast<int64_t>(i % 12) * 2 * kBurstGapNs) << i;
    EXPECT_EQ(schedule[i].key, (i % 12) / 4) << i;
  }
}

TEST(ScheduleTest, BurstsMixWithTheRestInOrder) {
  LoadSpec load = Load(Arrivals::kPoisson, 1000, 2);
  load.bursts = {{"a", std::chrono::seconds(1), {0.5}, 10}};
  const std::vector<Arrival> schedule = Schedule(load, {{"a", 0, 3}});
  LoadSpec without = load;
  without.bursts.clear();
  EXPECT_EQ(schedule.size(), Schedule(without, {{"a", 0, 3}}).size() + 60);
  EXPECT_TRUE(std::is_sorted(schedule.begin(), schedule.end(),
                             [](const Arrival& a, const Arrival& b) { return a.intended_ns < b.intended_ns; }));
}

TEST(ScheduleTest, IsAPureFunctionOfSpecAndSeed) {
  const std::vector<Phase> phases = {{"a", 0, 2}};
  for (const Arrivals kind : {Arrivals::kConstant, Arrivals::kPoisson, Arrivals::kRamp}) {
    LoadSpec load = Load(kind, 1000);
    load.ramp_to_per_s = 2000;
    const std::vector<Arrival> first = Schedule(load, phases, 7);
    // What variants change is no part of it.
    load.request = {{"domain", "other"}};
    load.max_in_flight = 1;
    EXPECT_TRUE(Same(first, Schedule(load, phases, 7)));
    EXPECT_FALSE(Same(first, Schedule(load, phases, 8)));
    load.name = "second";
    EXPECT_FALSE(Same(first, Schedule(load, phases, 7)));
  }
}

TEST(ScheduleTest, ClosedLoopHasNone) { EXPECT_TRUE(Schedule(Load(Arrivals::kClosed, 0), {{"a", 0, 1}}).empty()); }

TEST(ScheduleTest, RefusesMoreThanTheBound) {
  const auto refused = MakeSchedule(Load(Arrivals::kConstant, 1000), {{"a", 0, 2}}, 1, 0, 1999);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(MakeSchedule(Load(Arrivals::kConstant, 1000), {{"a", 0, 2}}, 1, 0, 2000).ok());
  LoadSpec bursts = Load(Arrivals::kPoisson, 0, 10);
  bursts.bursts = {{"a", std::chrono::seconds(1), {0.5}, 100}};
  EXPECT_FALSE(MakeSchedule(bursts, {{"a", 0, 1}}, 1, 0, 999).ok());
}

TEST(ScheduleTest, RefusesAKneeThatIsNotKnown) {
  LoadSpec load = Load(Arrivals::kPoisson, 0);
  load.rate.of_knee = 0.6;
  EXPECT_EQ(MakeSchedule(load, {{"a", 0, 1}}, 1, 0, kMany).status().code(), absl::StatusCode::kFailedPrecondition);
}

class ReplayTest : public testing::Test {
 protected:
  absl::StatusOr<std::vector<Arrival>> Replay(const std::string& text) {
    LoadSpec load = Load(Arrivals::kReplay, 0, 5);
    load.replay_file = testing::TempDir() + "/replay_" + std::to_string(getpid()) + ".csv";
    std::ofstream(load.replay_file) << text;
    auto schedule = MakeSchedule(load, {{"a", 0, 10}}, 1, 0, 4);
    std::remove(load.replay_file.c_str());
    return schedule;
  }
};

TEST_F(ReplayTest, TakesTimesAndKeysOfTheFile) {
  const auto schedule = Replay("# seconds,key\n0.5,4\n\n0.75\r\n9.999,0\n10,1\n");
  ASSERT_TRUE(schedule.ok()) << schedule.status();
  ASSERT_EQ(schedule->size(), 3u);  // the last lies beyond the timeline
  EXPECT_EQ((*schedule)[0].intended_ns, 500'000'000);
  EXPECT_EQ((*schedule)[0].key, 4u);
  EXPECT_LT((*schedule)[1].key, 5u);
  EXPECT_EQ((*schedule)[2].intended_ns, 9'999'000'000);
}

TEST_F(ReplayTest, NamesTheLineOfAnError) {
  for (const auto& [text, line] : std::map<std::string, std::string>{{"0.5,1\nsoon\n", ":2: "},
                                                                     {"-1\n", ":1: "},
                                                                     {"nan\n", ":1: "},
                                                                     {"1,5\n", ":1: the key"},
                                                                     {"1,-1\n", ":1: the key"},
                                                                     {"1\n\n0.9\n", ":3: goes back"}}) {
    const auto schedule = Replay(text);
    ASSERT_FALSE(schedule.ok()) << text;
    EXPECT_NE(schedule.status().message().find(line), std::string::npos) << schedule.status();
  }
  EXPECT_EQ(Replay("1\n2\n3\n4\n5\n").status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(ReplayFileTest, MissingFileIsAnError) {
  LoadSpec load = Load(Arrivals::kReplay, 0);
  load.replay_file = "/nowhere/trace.csv";
  const auto schedule = MakeSchedule(load, {{"a", 0, 10}}, 1, 0, kMany);
  EXPECT_NE(schedule.status().message().find("/nowhere/trace.csv"), std::string::npos);
}

}  // namespace
}  // namespace lab::bench
