#include "bench/judge/queueing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

// Ten seconds of Poisson arrivals, each in the system for an exponential time (M/G/infinity), with what a generator
// that counts right would have counted.
Trial Stationary(double rate, double mean_s) {
  Trial trial;
  trial.phases = {{"steady", 0, 5}, {"after", 5, 10}};
  trial.streams = {{"main", "ratelimit.grpc", 1, rate}};
  Series counted;
  counted.part = "generator";
  counted.name = "in_flight_mean";
  std::vector<double> area(10);
  Random random(7);
  for (double at = random.Exponential(1 / rate); at < 10; at += random.Exponential(1 / rate)) {
    const double end = at + random.Exponential(mean_s);
    Op op;
    op.intended_ns = op.sent_ns = static_cast<int64_t>(at * 1e9);
    op.done_ns = static_cast<int64_t>(end * 1e9);
    op.outcome = Outcome::kOk;
    trial.ops.push_back(op);
    for (int second = 0; second < 10; ++second) {
      area[second] += std::max(0.0, std::min(end, second + 1.0) - std::max(at, static_cast<double>(second)));
    }
  }
  for (int second = 0; second < 10; ++second) counted.samples.emplace_back(second + 1, area[second]);
  trial.series = {counted};
  return trial;
}

Lab OnePart() {
  Lab lab;
  PartSpec part;
  part.name = part.kind = "ratelimit";
  lab.system = {part};
  for (const char* name : {"steady", "after"}) lab.phases.push_back({name, std::chrono::seconds(5)});
  return lab;
}

TEST(QueueingTest, LittlesLawHoldsForWhatWasCountedRight) {
  const std::vector<PhaseQueueing> phases = QueueingOf(Stationary(2000, 0.005), OnePart());
  ASSERT_EQ(phases.size(), 2u);
  for (const PhaseQueueing& phase : phases) {
    EXPECT_EQ(phase.why, "");
    EXPECT_NEAR(phase.expected(), 10, 1);
    EXPECT_NEAR(*phase.in_flight, phase.expected(), 0.1);
    EXPECT_FALSE(phase.mismatch) << phase.phase;
  }
}

// Every fifth operation is missing from the record, but was in flight.
TEST(QueueingTest, ForgottenOperationsAreAMismatch) {
  Trial trial = Stationary(2000, 0.005);
  std::vector<Op> kept;
  for (size_t i = 0; i < trial.ops.size(); ++i) {
    if (i % 5 != 0) kept.push_back(trial.ops[i]);
  }
  trial.ops = kept;
  for (const PhaseQueueing& phase : QueueingOf(trial, OnePart())) EXPECT_TRUE(phase.mismatch) << phase.phase;
}

// Times that begin when the answer is awaited rather than when the request was sent, as closed loops measure.
TEST(QueueingTest, LatenciesThatLeaveOutWaitingAreAMismatch) {
  Trial trial = Stationary(2000, 0.005);
  for (Op& op : trial.ops) op.done_ns = op.sent_ns + op.service_ns() / 2;
  for (const PhaseQueueing& phase : QueueingOf(trial, OnePart())) EXPECT_TRUE(phase.mismatch) << phase.phase;
}

// What a pause left is answered in the next phase, in which nothing takes long that is sent there.
TEST(QueueingTest, AnInheritedBacklogIsNotStationary) {
  Trial trial = Stationary(2000, 0.005);
  for (auto& [at_s, value] : trial.series[0].samples) value *= at_s > 5 && at_s < 7 ? 3 : 1;
  for (Op& op : trial.ops) {
    if (op.sent_ns < 4'000'000'000 || op.sent_ns >= 5'000'000'000) continue;
    op.done_ns = 5'500'000'000;
  }
  const std::vector<PhaseQueueing> phases = QueueingOf(trial, OnePart());
  EXPECT_FALSE(phases[1].mismatch);
  EXPECT_NE(phases[1].why, "");
}

TEST(QueueingTest, NextToNothingInFlightIsNoMismatch) {
  Trial trial = Stationary(100, 0.0002);  // 0.02 in flight
  for (auto& [at_s, value] : trial.series[0].samples) value *= 2;
  for (const PhaseQueueing& phase : QueueingOf(trial, OnePart())) EXPECT_FALSE(phase.mismatch) << phase.phase;
}

TEST(QueueingTest, SaysWhenItCannotCompare) {
  const std::vector<PhaseQueueing> long_ones = QueueingOf(Stationary(100, 1.5), OnePart());
  ASSERT_FALSE(long_ones.empty());
  EXPECT_NE(long_ones[0].why, "");
  EXPECT_FALSE(long_ones[0].mismatch);
  Trial uncounted = Stationary(2000, 0.005);
  uncounted.series.clear();
  EXPECT_NE(QueueingOf(uncounted, OnePart())[0].why, "");
  EXPECT_FALSE(QueueingOf(uncounted, OnePart())[0].in_flight);
}

TEST(QueueingTest, TellsCpuAndTheUseOfConfiguredBounds) {
  Trial trial = Stationary(2000, 0.005);
  Series cpu, outstanding;
  cpu.part = outstanding.part = "ratelimit";
  cpu.name = "process_cpu_seconds_total";
  outstanding.name = "redis_outstanding";
  for (int second = 0; second <= 10; ++second) {
    cpu.samples.emplace_back(second, 0.25 * second);
    outstanding.samples.emplace_back(second, second == 7 ? 48 : 8);
  }
  trial.series.push_back(cpu);
  trial.series.push_back(outstanding);
  PartInfo part;
  part.name = part.kind = part.part = "ratelimit";
  part.changed = {{"redis.max_outstanding", "64"}};
  trial.parts = {part};
  const std::vector<PhaseQueueing> phases = QueueingOf(trial, OnePart());
  ASSERT_EQ(phases.size(), 2u);
  using ::testing::DoubleEq, ::testing::DoubleNear, ::testing::ElementsAre, ::testing::Pair;
  EXPECT_THAT(phases[0].cores, ElementsAre(Pair("ratelimit", DoubleNear(0.25, 1e-9))));
  EXPECT_THAT(phases[0].bottlenecks, ElementsAre(Pair("ratelimit.redis.max_outstanding", DoubleEq(8.0 / 64))));
  EXPECT_THAT(phases[1].bottlenecks, ElementsAre(Pair("ratelimit.redis.max_outstanding", DoubleEq(48.0 / 64))));
}

}  // namespace
}  // namespace lab::bench
