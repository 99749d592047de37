#include "bench/live/steady_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lab::bench::live {
namespace {

using std::chrono::seconds;

LoadSpec Load(double per_s, std::map<std::string, double> by_phase = {}) {
  LoadSpec load;
  load.name = "main";
  load.target = "ratelimit.grpc";
  load.rate.per_s = per_s;
  load.rate.by_phase = std::move(by_phase);
  return load;
}

Lab LabWith(std::vector<std::string> phases, LoadSpec load) {
  Lab lab;
  lab.name = "tiny";
  for (const std::string& phase : phases) lab.phases.push_back({phase, seconds(1)});
  lab.load = {std::move(load)};
  return lab;
}

TEST(SteadyPhaseTest, IsTheOneOfThatName) {
  const Lab lab = LabWith({"warmup", "steady", "pause"}, Load(100));
  EXPECT_EQ(*SteadyPhase(lab, ""), "steady");
  EXPECT_EQ(*SteadyPhase(lab, "pause"), "pause");
  const absl::StatusOr<std::string> wrong = SteadyPhase(lab, "paus");
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.status()));
  EXPECT_THAT(std::string(wrong.status().message()), testing::HasSubstr("did you mean \"pause\""));
}

TEST(SteadyPhaseTest, IsElseTheFirstWithALoadAndNoFaultAfterTheWarmUp) {
  Lab lab = LabWith({"warmup", "edge", "broken", "quiet", "busy"},
                    Load(0, {{"warmup", 40}, {"edge", 0}, {"broken", 80}, {"quiet", 90}, {"busy", 150}}));
  lab.faults.push_back({.phase = "broken"});
  EXPECT_EQ(*SteadyPhase(lab, ""), "quiet");
  EXPECT_EQ(*SteadyPhase(LabWith({"only"}, Load(5)), ""), "only");
  EXPECT_EQ(*SteadyPhase(LabWith({"a", "b"}, Load(0)), ""), "a") << "silence everywhere is no error";
}

TEST(SteadyLoadsTest, HaveTheRateOfThePhaseAlone) {
  LoadSpec load = Load(100, {{"busy", 150}});
  load.bursts.push_back({.phase = "busy"});
  load.arrivals = Arrivals::kRamp;
  const std::vector<LoadSpec> busy = SteadyLoads({load}, "busy");
  EXPECT_EQ(busy[0].rate.per_s, 150);
  EXPECT_TRUE(busy[0].rate.by_phase.empty());
  EXPECT_TRUE(busy[0].bursts.empty());
  EXPECT_EQ(busy[0].arrivals, Arrivals::kPoisson);
  EXPECT_EQ(SteadyLoads({load}, "other")[0].rate.per_s, 100);
}

TEST(SteadyLoadsTest, EachLaneIsAnOperationOfItsOwn) {
  LoadSpec lanes = Load(10);
  lanes.lanes = {{"a", {}}, {"b", {}}, {"c", {}}};
  EXPECT_EQ(OfferedBy({Load(100), lanes}), 130);
}

}  // namespace
}  // namespace lab::bench::live
