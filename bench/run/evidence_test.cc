#include "bench/run/evidence.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

Trial WithLag(int64_t lag_ns, Outcome outcome = Outcome::kOk) {
  Trial trial;
  trial.phases = {{"steady", 0, 1}, {"fault", 1, 2}};
  for (int64_t i = 0; i < 1000; ++i) {
    Op op;
    op.intended_ns = i * 1'000'000;
    op.sent_ns = op.intended_ns + lag_ns;
    op.done_ns = op.sent_ns + 1000;
    op.outcome = i % 100 == 0 ? outcome : Outcome::kOk;
    trial.ops.push_back(op);
  }
  return trial;
}

FaultRecord Fault(double applied_s, std::optional<double> healed_s) {
  FaultRecord fault;
  fault.applied_s = applied_s;
  fault.healed_s = healed_s;
  return fault;
}

TEST(EvidenceTest, AStarvedGeneratorIsAProblemInEveryPhase) {
  EXPECT_THAT(StarvedProblems(WithLag(1'000'000)), testing::IsEmpty());
  Trial late = WithLag(9'000'000);
  EXPECT_THAT(StarvedProblems(late), testing::ElementsAre(testing::HasSubstr("steady")));
  for (const FaultRecord& fault : {Fault(0.1, 0.9), Fault(-1, -0.5), Fault(0.5, std::nullopt)}) {
    late.faults = {fault};
    EXPECT_THAT(StarvedProblems(late), testing::ElementsAre(testing::HasSubstr("steady"))) << "the latency counts it";
  }
}

TEST(EvidenceTest, ABusyNeighbourIsAProblem) {
  // Ten seconds on two cores: the part used 4 s of CPU over a restart, the runner 2 s.
  std::vector<Series> series = {{"host", "host_cpu_seconds_total", {}, {{0, 100}, {10, 108}}},
                                {"redis", "process_cpu_seconds_total", {}, {{0, 1}, {5, 4}, {10, 1}}},
                                {"runner", "process_cpu_seconds_total", {}, {{0, 7}, {10, 9}}}};
  EXPECT_THAT(NeighbourProblems(series, 2, ""), testing::IsEmpty());  // 2 s of others: 0.2 of 2 cores
  series[0].samples[1].second = 112;
  EXPECT_THAT(NeighbourProblems(series, 2, ""), testing::ElementsAre(testing::HasSubstr("0.6 of the host's 2 cores")));
  EXPECT_THAT(NeighbourProblems(series, 4, ""), testing::IsEmpty());
  EXPECT_THAT(NeighbourProblems({}, 2, ""), testing::IsEmpty());
  EXPECT_THAT(NeighbourProblems(series, 2, "cc1plus 0.5"),
              testing::ElementsAre(testing::HasSubstr(" (cc1plus 0.5); end")));
}

TEST(EvidenceTest, DroppedRequestsAreAProblem) {
  EXPECT_THAT(SaturatedProblems(WithLag(0, Outcome::kDropped)), testing::ElementsAre(testing::HasSubstr("10 of 1000")));
  EXPECT_THAT(SaturatedProblems(WithLag(9'000'000)), testing::IsEmpty());
  EXPECT_THAT(StarvedProblems(WithLag(0, Outcome::kDropped)), testing::IsEmpty());
}

TEST(EvidenceTest, TheHostsThefts) {
  const HostLoad before{.steal_s = 1, .throttled_s = 1, .swapped_bytes = 1e9, .oom_kills = 1};
  HostLoad calm = before;
  calm.steal_s += 0.1;
  calm.throttled_s += 0.05;
  calm.swapped_bytes += 9e6;
  EXPECT_THAT(HostProblems(before, calm, 10, 2), testing::IsEmpty());
  HostLoad sick = before;
  sick.steal_s += 3;
  sick.throttled_s += 1;
  sick.swapped_bytes += 30e6;
  sick.oom_kills += 1;
  EXPECT_THAT(HostProblems(before, sick, 10, 2),
              testing::ElementsAre(testing::HasSubstr("hypervisor"), testing::HasSubstr("quota"),
                                   testing::HasSubstr("swapped: 2.9 MiB"), testing::HasSubstr("want of memory")));
}

TEST(EvidenceTest, ALittleTheftAsksForCaution) {
  const HostLoad before{.steal_s = 1};
  EXPECT_THAT(HostCautions(before, {.steal_s = 1.3}, 10, 2), testing::IsEmpty());
  EXPECT_THAT(HostCautions(before, {.steal_s = 2}, 10, 2), testing::ElementsAre(testing::HasSubstr("took 5.0 %")));
  EXPECT_THAT(HostProblems(before, {.steal_s = 2}, 10, 2), testing::IsEmpty());
  EXPECT_THAT(HostCautions(before, {.steal_s = 4}, 10, 2), testing::IsEmpty()) << "that is a problem";
  EXPECT_THAT(HostProblems(before, {.steal_s = 4}, 10, 2), testing::SizeIs(1));
}

TEST(EvidenceTest, ALittleLateAsksForCaution) {
  EXPECT_THAT(LagCautions(WithLag(1'500'000)), testing::IsEmpty());
  EXPECT_THAT(LagCautions(WithLag(3'000'000)),
              testing::ElementsAre(testing::AllOf(testing::HasSubstr("run late"), testing::HasSubstr("at most 2 ms"))));
  EXPECT_THAT(StarvedProblems(WithLag(3'000'000)), testing::IsEmpty());
  EXPECT_THAT(LagCautions(WithLag(9'000'000)), testing::IsEmpty()) << "that is a problem";
  EXPECT_THAT(StarvedProblems(WithLag(9'000'000)), testing::SizeIs(1));
}

TEST(EvidenceTest, WaitsForACoreAskForCaution) {
  const std::vector<Phase> phases = {{"warmup", 0, 1}, {"steady", 1, 2}, {"slow", 2, 6}};
  EXPECT_THAT(WaitCautions({}, phases), testing::IsEmpty());
  // Of a second 1 % is 10 ms: who became ready in the first 10 ms of 14 waited for at least 4.
  const auto four_ms =
      testing::ElementsAre(testing::AllOf(testing::HasSubstr("for 4 ms or longer"), testing::EndsWith("in steady")));
  EXPECT_THAT(WaitCautions({{1.5, 0.014}}, phases), four_ms);
  EXPECT_THAT(WaitCautions({{1.2, 0.009}, {1.8, 0.009}}, phases), four_ms) << "of both cores";
  EXPECT_THAT(WaitCautions({{0.991, 0.0205}}, phases), testing::ElementsAre(testing::EndsWith("in steady")));
  EXPECT_THAT(WaitCautions({{1.2, 0.0054}, {1.8, 0.0054}}, phases), testing::IsEmpty()) << "0.4 ms";
  EXPECT_THAT(WaitCautions(std::vector<Wait>(100, {1.5, 0.00105}), phases), testing::IsEmpty()) << "many, and short";
}

TEST(EvidenceTest, OneLongWaitAsksForCaution) {
  const std::vector<Phase> phases = {{"steady", 0, 10}};
  EXPECT_THAT(WaitCautions({{3, 0.009}, {6, 0.01}}, phases), testing::IsEmpty());
  EXPECT_THAT(WaitCautions({{3, 0.009}, {6, 0.04}}, phases),
              testing::ElementsAre(testing::HasSubstr("once for 40 ms at 6.0 s")));
}

TEST(EvidenceTest, LongWaitsForACoreAreAProblem) {
  const std::vector<Phase> phases = {{"steady", 0, 1}, {"slow", 1, 2}};
  const std::vector<Wait> waits = {{0.5, 0.013}, {1.5, 0.016}};
  EXPECT_THAT(WaitProblems({}, phases), testing::IsEmpty());
  EXPECT_THAT(WaitProblems({{0.5, 0.014}}, phases), testing::IsEmpty());
  EXPECT_THAT(WaitProblems(waits, phases), testing::ElementsAre(testing::AllOf(testing::HasSubstr("for 6 ms or longer"),
                                                                               testing::EndsWith("in slow"))));
  EXPECT_THAT(WaitCautions(waits, phases), testing::IsEmpty()) << "that is a problem";
}

TEST(EvidenceTest, TheLongestWaitOfEachSecondIsKept) {
  const Series series = LongestWaits({{-3, 0.1}, {0.2, 0.002}, {0.9, 0.3}, {2.5, 0.001}, {9, 1}}, 3);
  EXPECT_EQ(series.part, "host");
  EXPECT_THAT(series.samples, testing::ElementsAre(std::pair(1.0, 0.3), std::pair(2.0, 0.0), std::pair(3.0, 0.001)));
}

TEST(EvidenceTest, WhatOnlyTheHostDisturbedMayBeRunAgain) {
  Trial trial;
  trial.complete = true;
  EXPECT_FALSE(OnlyTheHostDisturbed(trial));
  trial.problems = trial.host_problems = {"starved"};
  EXPECT_TRUE(OnlyTheHostDisturbed(trial));
  trial.problems.push_back("redis died");
  EXPECT_FALSE(OnlyTheHostDisturbed(trial));
  trial.problems = trial.host_problems;
  trial.complete = false;
  EXPECT_FALSE(OnlyTheHostDisturbed(trial)) << "broken off";
}

TEST(EvidenceTest, AKillForWantOfMemoryCountsUnlessAFaultAskedForIt) {
  const HostLoad before{.oom_kills = 3, .own_oom_kills = 1};
  EXPECT_THAT(HostProblems(before, {.oom_kills = 5, .own_oom_kills = 3}, 10, 2), testing::IsEmpty());
  EXPECT_THAT(HostProblems(before, {.oom_kills = 5, .own_oom_kills = 2}, 10, 2), testing::SizeIs(1));
}

TEST(EvidenceTest, PagingIsAProblemButANewBeginningIsNot) {
  // 90 faults in 5 s, and 400 of a process that began anew.
  Series series{"redis", "process_major_faults_total", {}, {{0, 500}, {1, 590}, {2, 400}, {5, 400}}};
  EXPECT_THAT(PagingProblems({series}), testing::IsEmpty());
  series.samples.back().second = 450;
  EXPECT_THAT(PagingProblems({series}), testing::ElementsAre(testing::HasSubstr("redis waited for memory")));
}

TEST(EvidenceTest, AStallIsAProblemHoweverShort) {
  EXPECT_THAT(StallProblems({}), testing::IsEmpty());
  EXPECT_THAT(StallProblems({{1, 0.4}, {1.1, 0.3}, {7.5, 2.04}, {9, 0.29}, {12, 0.3}}),
              testing::ElementsAre(testing::HasSubstr("3 times, once for 2.0 s at 7.5 s")));
}

TEST(EvidenceTest, GapsCountWithoutAFaultOnly) {
  const std::map<std::string, std::vector<double>> gaps = {{"redis", {2.0, 3.0, 3.8}}};
  EXPECT_THAT(ScrapeProblems(gaps, {}, 0, 10), testing::ElementsAre(testing::HasSubstr("redis")));
  EXPECT_THAT(ScrapeProblems(gaps, {Fault(1.5, 3.5)}, 0, 10), testing::IsEmpty());
  EXPECT_THAT(ScrapeProblems(gaps, {Fault(5, 6)}, 0, 10), testing::SizeIs(1));
  EXPECT_THAT(ScrapeProblems(gaps, {}, 3.5, 10), testing::IsEmpty());
}

}  // namespace
}  // namespace lab::bench
