#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/judge/invariants.h"
#include "bench/judge/testing/trials.h"

namespace lab::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

InvariantResult Check(const Trial& trial, const std::string& text) {
  const absl::StatusOr<Node> call = ParseCall(text);
  return FindInvariant(call->name)->check(trial, testing::TestLab(), Selectors(call->selectors));
}

// 62 schedules, of which 3 run into race 2 and 1 into race 4; both were expected.
Trial Explored() {
  Trial trial = testing::EmptyTrial();
  Exploration explored;
  explored.casts = {{"R W", 60, 5, 0, 3, 0.1, true}, {"R W die", 2, 0, 0, 1, 0.1, true, 7}};
  explored.races = {{2, "delete before update", 3, "R W", "W:delete R:get R:select R:set W:commit", "stale", {}},
                    {4, "writer dies", 1, "R W die", "R:get R:select R:set W:commit W:die", "stale", {}}};
  explored.expected = {{1, "fill", false, "the lease"},
                       {2, "delete before update", true, "by its order"},
                       {4, "writer dies", true, "nobody tells"}};
  trial.exploration = explored;
  return trial;
}

TEST(NoOpenRaceTest, NamesTheRaceAndItsSchedule) {
  const InvariantResult result = Check(Explored(), "no-open-race{except=4}");
  EXPECT_EQ(result.state, State::kFail);
  EXPECT_EQ(result.measured, "race 2 in 62 schedules, 5 more are infeasible");
  EXPECT_THAT(result.offenders, ElementsAre("race 2 (delete before update): W:delete R:get R:select R:set W:commit; "
                                            "stale; 3 schedules"));
  EXPECT_EQ(Check(Explored(), "no-open-race").broken, 2u);
}

TEST(NoOpenRaceTest, PassesWhereNothingIsOpen) {
  Trial trial = Explored();
  trial.exploration->races.erase(trial.exploration->races.begin());
  EXPECT_EQ(Check(trial, "no-open-race{except=4}").state, State::kPass);
  trial.exploration->casts[0].deadlocks = 1;
  EXPECT_EQ(Check(trial, "no-open-race{except=4}").state, State::kFail);
  trial.exploration.reset();
  EXPECT_EQ(Check(trial, "no-open-race").state, State::kInconclusive);
}

TEST(RacesAsExpectedTest, HoldsTheRunAgainstTheMatrix) {
  EXPECT_EQ(Check(Explored(), "races-as-expected").state, State::kPass);
  EXPECT_EQ(Check(Explored(), "races-as-expected").measured, "open: 2, 4 in 62 schedules, 5 more are infeasible");

  Trial missing = Explored();
  missing.exploration->races.pop_back();
  EXPECT_THAT(Check(missing, "races-as-expected").offenders,
              ElementsAre("race 4 (writer dies) was expected to be open (nobody tells), and no schedule runs into it"));

  Trial more = Explored();
  more.exploration->races.insert(more.exploration->races.begin(), {1, "fill", 1, "R W", "R:get", "stale", {}});
  EXPECT_THAT(Check(more, "races-as-expected").offenders,
              ElementsAre("race 1 (fill) is open, and was not expected to be (the lease): R:get"));

  Trial unnamed = Explored();
  unnamed.exploration->races.insert(unnamed.exploration->races.begin(), {0, "none", 1, "R W", "R:get", "stale", {}});
  EXPECT_EQ(Check(unnamed, "races-as-expected").state, State::kFail);
}

// A broken variant that breaks in another way than derived is not caught: the lab does not know what it shows.
TEST(NoOpenRaceTest, WhatWasNotDerivedIsNoCatch) {
  EXPECT_EQ(Check(Explored(), "no-open-race{except=4}").no_catch, "");
  Trial trial = Explored();
  trial.exploration->expected[0].open = true;
  EXPECT_EQ(Check(trial, "no-open-race{except=4}").no_catch,
            "race 1 (fill) is closed, against what was derived: the lease");
  Lab lab = testing::TestLab();
  lab.expect.clear();
  lab.values.clear();
  lab.faults.clear();
  lab.invariants = {"no-open-race{except=4}"};
  lab.variants[2].caught_by = "no-open-race";
  Trial safe = Explored(), broken = trial;
  safe.variant = "a";
  safe.exploration->races.erase(safe.exploration->races.begin());
  safe.exploration->expected[1].open = false;
  broken.variant = "c";
  Verdict verdict = Judge(lab, testing::RunOf({safe, broken}));
  ASSERT_EQ(verdict.catches.size(), 1u);
  EXPECT_EQ(verdict.catches[0].state, State::kInconclusive);
  broken.exploration->expected[0].open = false;
  verdict = Judge(lab, testing::RunOf({safe, broken}));
  EXPECT_EQ(verdict.catches[0].state, State::kPass) << verdict.catches[0].text;
  EXPECT_EQ(verdict.state, State::kPass);
}

TEST(RacesAsExpectedTest, OneScheduleProvesNothing) {
  Trial trial = Explored();
  trial.exploration->replay = true;
  EXPECT_EQ(Check(trial, "races-as-expected").state, State::kInconclusive);
}

TEST(RaceValuesTest, AreCounts) {
  EXPECT_EQ(testing::Value(Explored(), "schedules").value, 62);
  EXPECT_EQ(testing::Value(Explored(), "infeasible_schedules").value, 5);
  EXPECT_EQ(testing::Value(Explored(), "offending_schedules").value, 4);
  EXPECT_EQ(testing::Value(Explored(), "open_races").value, 2);
  EXPECT_EQ(testing::Value(Explored(), "late_schedules").value, 7);
  EXPECT_FALSE(testing::Value(testing::EmptyTrial(), "schedules").value.has_value());
}

}  // namespace
}  // namespace lab::bench
