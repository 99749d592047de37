#include "bench/judge/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/judge/testing/trials.h"

namespace lab::bench {
namespace {

using testing::FindFinding;
using ::testing::HasSubstr;
using testing::RunOf;
using testing::SteadyTrial;
using testing::TestLab;

constexpr int64_t kGoodMs = 6;   // within the bound of 25 ms
constexpr int64_t kBadMs = 200;  // beyond three times the bound
constexpr int64_t kNearMs = 40;  // beyond the bound, not beyond three times the bound

std::vector<Trial> AllThree() {
  return {SteadyTrial("a", kGoodMs), SteadyTrial("b", kGoodMs), SteadyTrial("c", kBadMs)};
}

State Judged(std::vector<Trial> trials) { return Judge(TestLab(), RunOf(std::move(trials))).state; }

TEST(JudgeTest, PassesWhenAllHoldsAndTheBrokenOneIsCaught) {
  const Verdict verdict = Judge(TestLab(), RunOf(AllThree()));
  EXPECT_EQ(verdict.state, State::kPass) << verdict.reasons[0];
  EXPECT_THAT(verdict.reasons[0], HasSubstr("all 5 checks hold"));
  const Finding* control = FindFinding(verdict, "bounded", "c");
  ASSERT_NE(control, nullptr);
  EXPECT_EQ(control->state, State::kFail);
  EXPECT_TRUE(control->control);
  EXPECT_EQ(control->measured, "200 ms > 25 ms");
  ASSERT_EQ(verdict.catches.size(), 1u);
  EXPECT_EQ(verdict.catches[0].state, State::kPass);
  EXPECT_EQ(verdict.catches[0].text, "c breaks bounded: 200 ms > 25 ms");
  const Finding* good = FindFinding(verdict, "bounded", "a");
  EXPECT_EQ(good->measured, "6 ms <= 25 ms");
  EXPECT_DOUBLE_EQ(*good->left, 0.006);
  EXPECT_DOUBLE_EQ(*good->right, 0.025);
}

TEST(JudgeTest, FailsWhenACorrectVariantMissesItsBound) {
  const Verdict verdict = Judge(TestLab(), RunOf({SteadyTrial("a", kNearMs), SteadyTrial("b", kGoodMs)}));
  EXPECT_EQ(verdict.state, State::kFail);
  EXPECT_THAT(verdict.reasons[1], HasSubstr("bounded (a): 40 ms > 25 ms"));
}

TEST(JudgeTest, ATrialThatWasNotSteadyBeforeTheFaultIsNoEvidence) {
  Lab lab = TestLab();
  const std::string value = lab.values.at(0).name;
  const auto judged = [&](const std::string& bound) {
    lab.steady = {{"calm", "each." + value + " <= " + bound, 1}};
    return Judge(lab, RunOf({SteadyTrial("a", kNearMs), SteadyTrial("b", kGoodMs)}));
  };
  EXPECT_EQ(judged("10s").state, State::kFail) << "steady, and the bound of the expectation is missed";
  const Verdict unsteady = judged("1ms");
  EXPECT_EQ(unsteady.state, State::kInconclusive);
  EXPECT_THAT(unsteady.reasons[1], HasSubstr("not in its steady state before the fault: calm"));
}

TEST(JudgeTest, NamesDecideNothing) {
  // The correct configuration's trials under the broken name pass …
  const Verdict swapped = Judge(TestLab(), RunOf({SteadyTrial("c", kGoodMs), SteadyTrial("a", kBadMs)}));
  EXPECT_EQ(FindFinding(swapped, "bounded", "c")->state, State::kPass);
  // … and the broken one's under a correct name fail.
  EXPECT_EQ(FindFinding(swapped, "bounded", "a")->state, State::kFail);
  EXPECT_EQ(swapped.state, State::kFail);
  EXPECT_EQ(swapped.catches[0].state, State::kFail);
}

TEST(JudgeTest, TheBrokenVariantAloneIsJudgedLikeAnyOther) {
  const Verdict verdict = Judge(TestLab(), RunOf({SteadyTrial("c", kBadMs)}));
  EXPECT_EQ(verdict.state, State::kFail);
  EXPECT_FALSE(FindFinding(verdict, "bounded", "c")->control);
  EXPECT_EQ(Judged({SteadyTrial("c", kNearMs)}), State::kFail);
  EXPECT_EQ(Judged({SteadyTrial("c", kGoodMs)}), State::kPass);  // its configuration may be right
}

TEST(JudgeTest, ABrokenVariantThatGetsAwayFailsTheRun) {
  const Verdict away = Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs), SteadyTrial("c", kGoodMs)}));
  EXPECT_EQ(away.state, State::kFail);
  EXPECT_THAT(away.catches[0].text, HasSubstr("c got away: bounded holds"));
  const Verdict narrow = Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs), SteadyTrial("c", kNearMs)}));
  EXPECT_EQ(narrow.state, State::kFail);
  EXPECT_THAT(narrow.catches[0].text, HasSubstr("less than a factor of three"));
}

TEST(JudgeTest, AnInvariantCatchesWithItsOffenders) {
  Lab lab = TestLab();
  lab.variants[2].caught_by = "every-arrival-accounted";
  Trial broken = SteadyTrial("c", kGoodMs);
  broken.ops.erase(broken.ops.begin() + 77);
  const Verdict verdict = Judge(lab, RunOf({SteadyTrial("a", kGoodMs), broken}));
  EXPECT_EQ(verdict.state, State::kPass);
  EXPECT_EQ(verdict.catches[0].state, State::kPass);
  EXPECT_THAT(FindFinding(verdict, "every-arrival-accounted", "c")->offenders[0], HasSubstr("never ended"));
  // The same loss in a correct variant fails the run.
  Trial lossy = SteadyTrial("a", kGoodMs);
  lossy.ops.erase(lossy.ops.begin() + 77);
  EXPECT_EQ(Judged({lossy}), State::kFail);
}

TEST(JudgeTest, ItsOtherViolationsAreShownNotCounted) {
  Lab lab = TestLab();
  lab.expect.push_back({"steady-too", "each.before <= 2ms", 0});
  Trial broken = SteadyTrial("c", kBadMs);
  for (Op& op : broken.ops) op.done_ns = op.sent_ns + kBadMs * testing::kMs;
  const Verdict verdict = Judge(lab, RunOf({SteadyTrial("a", kGoodMs), broken}));
  EXPECT_EQ(FindFinding(verdict, "steady-too", "c")->state, State::kFail);
  EXPECT_EQ(verdict.state, State::kPass);
}

// Everything that takes away the evidence of a correct variant makes the run inconclusive, never green.
struct Spoiled {
  const char* name;
  void (*spoil)(Trial&);
  const char* why;
};

const Spoiled kSpoiled[] = {
    {"not_seen", [](Trial& trial) { trial.faults[0].seen_s.reset(); }, "never seen to have an effect"},
    {"not_applied", [](Trial& trial) { trial.faults[0].applied_s.reset(); }, "never applied"},
    {"not_healed", [](Trial& trial) { trial.faults[0].healed_s.reset(); }, "never seen to be healed"},
    {"no_heal", [](Trial& trial) { trial.faults[0].heal_asked_s.reset(); }, "never asked to end"},
    {"error", [](Trial& trial) { trial.faults[0].error = "no such process"; }, "no such process"},
    {"no_fault", [](Trial& trial) { trial.faults.clear(); }, "redis.pause in pause never took place"},
    {"problem", [](Trial& trial) { trial.problems = {"the generator was starved"}; }, "starved"},
    {"incomplete", [](Trial& trial) { trial.complete = false; }, "broken off"}};

class EvidenceTest : public ::testing::TestWithParam<Spoiled> {};

TEST_P(EvidenceTest, MissingIsInconclusive) {
  for (const bool good : {true, false}) {
    Trial trial = SteadyTrial("a", good ? kGoodMs : kBadMs);
    GetParam().spoil(trial);
    const Verdict verdict = Judge(TestLab(), RunOf({trial, SteadyTrial("b", kGoodMs)}));
    EXPECT_EQ(verdict.state, State::kInconclusive);
    EXPECT_THAT(FindFinding(verdict, "bounded", "a")->why, HasSubstr(GetParam().why));
    for (const Measured& measured : verdict.values) {
      EXPECT_TRUE(measured.variant != "a" || !measured.value) << "a number without evidence is shown";
    }
  }
}

TEST_P(EvidenceTest, OfTheBrokenVariantLeavesItsCatchOpen) {
  Trial trial = SteadyTrial("c", kBadMs);
  GetParam().spoil(trial);
  const Verdict verdict = Judge(TestLab(), RunOf({trial, SteadyTrial("b", kGoodMs)}));
  EXPECT_EQ(verdict.state, State::kInconclusive);
  EXPECT_EQ(verdict.catches[0].state, State::kInconclusive);
}

std::string NameOfSpoiled(const ::testing::TestParamInfo<Spoiled>& spoiled) { return spoiled.param.name; }

INSTANTIATE_TEST_SUITE_P(Everything, EvidenceTest, ::testing::ValuesIn(kSpoiled), &NameOfSpoiled);

// Bounds of TestLab: 25 ms; a host that took some time away makes no design better.
TEST(JudgeTest, WithCautionANarrowMissIsLeftOpen) {
  const auto judged = [](double ms) {
    Trial trial = SteadyTrial("a", ms);
    trial.cautions = {"the hypervisor took 5.0 % of the host's CPU time away"};
    return Judge(TestLab(), RunOf({trial, SteadyTrial("b", kGoodMs)}));
  };
  EXPECT_EQ(judged(kGoodMs).state, State::kPass) << "what holds holds all the more";
  const Verdict narrow = judged(kNearMs);
  EXPECT_EQ(narrow.state, State::kInconclusive);
  EXPECT_THAT(FindFinding(narrow, "bounded", "a")->why, HasSubstr("hypervisor"));
  EXPECT_EQ(judged(kBadMs * 10).state, State::kFail) << "no host explains that";
}

TEST(JudgeTest, WithCautionACatchTakesAClearMiss) {
  const auto caught = [](double ms) {
    Trial trial = SteadyTrial("c", ms);
    trial.cautions = {"the hypervisor took 5.0 % of the host's CPU time away"};
    return Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs), trial})).catches[0].state;
  };
  EXPECT_EQ(caught(kBadMs * 10), State::kPass);
  EXPECT_EQ(caught(kNearMs), State::kInconclusive);
}

TEST(JudgeTest, AnAbsentValueIsInconclusiveButAFailureStillFails) {
  Trial few = SteadyTrial("a", kGoodMs);
  std::erase_if(few.ops, [](const Op& op) { return op.intended_ns % (100 * testing::kMs) != 0; });
  testing::KeepSchedule(few);
  EXPECT_EQ(Judged({few}), State::kInconclusive);
  EXPECT_EQ(Judged({few, SteadyTrial("b", kBadMs)}), State::kFail);
}

TEST(JudgeTest, WhatNamesAnAbsentVariantIsNotAsked) {
  Lab lab = TestLab();
  lab.expect = {{"only-b", "b.p99 <= 25ms", 0}};
  lab.invariants.clear();
  const Verdict verdict = Judge(lab, RunOf({SteadyTrial("a", kGoodMs)}));
  EXPECT_EQ(FindFinding(verdict, "only-b", "b")->state, State::kNotAsked);
  EXPECT_EQ(verdict.state, State::kInconclusive);  // nothing was asked at all
  EXPECT_EQ(Judge(lab, RunOf({SteadyTrial("b", kGoodMs)})).state, State::kPass);
  EXPECT_EQ(Judge(lab, RunOf({})).state, State::kInconclusive);
}

TEST(JudgeTest, EveryRepeatMustHold) {
  const Verdict verdict =
      Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs, 0), SteadyTrial("a", kNearMs, 1), SteadyTrial("a", 8, 2)}));
  EXPECT_EQ(verdict.state, State::kFail);
  EXPECT_EQ(FindFinding(verdict, "bounded", "a")->measured, "40 ms > 25 ms");
  for (const Measured& measured : verdict.values) {
    if (measured.name != "p99") continue;
    EXPECT_NEAR(*measured.value, 0.008, 1e-9);  // the median is shown
  }
  Trial blind = SteadyTrial("a", kGoodMs, 1);
  blind.faults.clear();
  const Verdict open = Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs, 0), blind}));
  EXPECT_EQ(open.state, State::kInconclusive);
  EXPECT_THAT(FindFinding(open, "bounded", "a")->why, HasSubstr("repeat 1: "));
}

TEST(JudgeTest, ACatchNeedsEveryRepeat) {
  const Verdict verdict =
      Judge(TestLab(), RunOf({SteadyTrial("a", kGoodMs), SteadyTrial("c", kBadMs, 0), SteadyTrial("c", kNearMs, 1)}));
  EXPECT_EQ(verdict.catches[0].state, State::kFail);
}

Lab ComparingLab() {
  Lab lab = TestLab();
  lab.expect = {{"b-pays", "b.p99 / a.p99 >= 5", 0}};
  lab.invariants.clear();
  return lab;
}

Run Blocks(std::vector<std::pair<int64_t, int64_t>> latencies) {
  Run run;
  for (size_t i = 0; i < latencies.size(); ++i) {
    run.trials.push_back(SteadyTrial("a", latencies[i].first, static_cast<int>(i)));
    run.trials.push_back(SteadyTrial("b", latencies[i].second, static_cast<int>(i)));
    run.trials.push_back(SteadyTrial("a", latencies[i].first, static_cast<int>(i)));
    run.trials.back().again = true;
  }
  return run;
}

TEST(JudgeTest, MoreComparisonsNeedMoreBlocks) {
  Lab lab = ComparingLab();
  const std::string one = lab.expect[0].expression;
  EXPECT_EQ(CheckExpression(lab, one, ExpressionUse::kExpectation),
            "column 1: compares variants, which takes 4 "
            "interleaved repeats here; write repeat: 4 or more (it is 1)");
  lab.repeat = 4;
  EXPECT_EQ(CheckExpression(lab, one, ExpressionUse::kExpectation), "");
  lab.expect.push_back({"again", "b.before <= 2 * a.before", 0});
  EXPECT_THAT(CheckExpression(lab, one, ExpressionUse::kExpectation), HasSubstr("write repeat: 5 or more"));
  EXPECT_EQ(CheckExpression(lab, "each.p99 <= 1s", ExpressionUse::kExpectation), "") << "compares no variants";
  const Verdict few = Judge(lab, Blocks({{2, 20}, {2, 20}, {2, 20}, {2, 20}}));
  EXPECT_EQ(few.state, State::kInconclusive);
  EXPECT_THAT(few.findings[0].why, HasSubstr("need 5 interleaved repeats, there are 4; run with --repeat 5"));
  EXPECT_EQ(Judge(lab, Blocks({{2, 20}, {2, 20}, {2, 20}, {2, 20}, {2, 20}})).state, State::kPass);
}

TEST(JudgeTest, ComparisonsNeedFourBlocksThatAgree) {
  const Lab lab = ComparingLab();
  EXPECT_EQ(Judge(lab, Blocks({{2, 20}, {2, 20}, {2, 20}})).state, State::kInconclusive);
  EXPECT_EQ(Judge(lab, Blocks({{2, 20}, {2, 20}, {2, 20}, {2, 20}})).state, State::kPass);
  EXPECT_EQ(Judge(lab, Blocks({{2, 2}, {2, 2}, {2, 2}, {2, 2}})).state, State::kFail);
  const Verdict noise = Judge(lab, Blocks({{2, 20}, {2, 2}, {2, 20}, {2, 2}}));
  EXPECT_EQ(noise.state, State::kInconclusive);
  EXPECT_THAT(noise.findings[0].why, HasSubstr("no difference beyond noise"));
  bench::Run quick = Blocks({{2, 20}});
  quick.quick = true;
  EXPECT_EQ(Judge(lab, quick).findings[0].state, State::kNotAsked);
}

TEST(JudgeTest, ShowsTheIntervalOfTheRatioAndWhatTheSameDesignDiffersBy) {
  bench::Run run = Blocks({{10, 30}, {10, 30}, {10, 40}, {10, 40}});
  for (Trial& trial : run.trials) {
    if (!trial.again) continue;
    trial = SteadyTrial("a", 11, trial.repeat);  // against itself a differs by a tenth
    trial.again = true;
  }
  const Verdict verdict = Judge(ComparingLab(), run);
  const Finding& finding = verdict.findings[0];
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_NEAR(*finding.low, 3.0 / 5, 1e-9);
  EXPECT_NEAR(*finding.high, 4.0 / 5, 1e-9);
  EXPECT_THAT(finding.measured, HasSubstr("0.6 … 0.8x of the bound, 4 blocks, held in 0 of 16 pairs"));
  ASSERT_EQ(verdict.noise.size(), 1u);
  EXPECT_EQ(verdict.noise[0].variant, "a");
  EXPECT_EQ(verdict.noise[0].value, "p99");
  EXPECT_NEAR(*verdict.noise[0].low, 1.1, 1e-9);
  EXPECT_EQ(verdict.noise[0].blocks, 4u);
}

TEST(JudgeTest, WhatLiesWithinTheNoiseIsNoDifference) {
  Lab lab = ComparingLab();
  lab.expect = {{"not-slower", "b.p99 <= a.p99", 0}};
  const auto judged = [&](int64_t again_ms) {
    bench::Run run = Blocks({{10, 11}, {10, 11}, {10, 11}, {10, 11}});
    for (Trial& trial : run.trials) {
      if (!trial.again) continue;
      trial = SteadyTrial("a", trial.repeat % 2 == 0 ? again_ms : 10, trial.repeat);
      trial.again = true;
    }
    return Judge(lab, run).findings[0];
  };
  EXPECT_EQ(judged(10).state, State::kFail) << "11 ms is more than 10 ms, in every pair of blocks";
  EXPECT_EQ(judged(12).state, State::kInconclusive) << "and so is the same design than itself";
  EXPECT_THAT(judged(12).why, HasSubstr("the same design against itself differs by 1 … 1.2x"));
}

TEST(JudgeTest, AComparisonWithoutItsNoiseIsInconclusive) {
  bench::Run run = Blocks({{2, 20}, {2, 20}, {2, 20}, {2, 20}});
  run.trials.back().complete = false;  // of a, again
  Verdict verdict = Judge(ComparingLab(), run);
  EXPECT_EQ(verdict.findings[0].state, State::kInconclusive);
  EXPECT_THAT(verdict.findings[0].why, HasSubstr("the noise of p99 is not known"));
  std::erase_if(run.trials, [](const Trial& trial) { return trial.again; });
  verdict = Judge(ComparingLab(), run);
  EXPECT_EQ(verdict.findings[0].state, State::kInconclusive);
  EXPECT_THAT(verdict.findings[0].why, HasSubstr("no variant was run against itself"));
}

TEST(JudgeTest, WhatHoldsOfADesignHoldsOfItsSecondTrialToo) {
  bench::Run run = RunOf({SteadyTrial("a", kGoodMs), SteadyTrial("a", kNearMs)});
  run.trials[1].again = true;
  const Verdict verdict = Judge(TestLab(), run);
  EXPECT_EQ(verdict.state, State::kFail);
  EXPECT_DOUBLE_EQ(*verdict.values[0].value, 0.006) << "the table shows the first alone";
}

TEST(JudgeTest, EachAgainstANamedVariantLeavesThatOneOut) {
  Lab lab = ComparingLab();
  lab.expect = {{"as-good", "each.p99 <= 2 * a.p99", 0}};
  const Verdict verdict = Judge(lab, Blocks({{5, 6}, {5, 6}, {5, 6}, {5, 6}}));
  ASSERT_EQ(verdict.findings.size(), 1u);
  EXPECT_EQ(verdict.findings[0].variant, "b");
}

Compared CompareWith(const std::string& text, Evidence left) {
  return Compare(*ParseComparison(text), [&](const std::string&, const std::string&) { return left; });
}

TEST(CompareTest, EveryFormPassesAndFails) {
  const auto state = [](const char* text, double left) { return CompareWith(text, Evidence::Of(left, 1)).state; };
  EXPECT_EQ(state("a.x <= 2", 2), State::kPass);
  EXPECT_EQ(state("a.x <= 2", 2.1), State::kFail);
  EXPECT_EQ(state("a.x < 2", 2), State::kFail);
  EXPECT_EQ(state("a.x >= 2", 2), State::kPass);
  EXPECT_EQ(state("a.x >= 2", 1.9), State::kFail);
  EXPECT_EQ(state("a.x > 2", 2), State::kFail);
  EXPECT_EQ(state("a.x == 2", 2), State::kPass);
  EXPECT_EQ(state("a.x == 2", 2.1), State::kFail);
  EXPECT_EQ(state("a.x within 1.9 .. 2.1", 2), State::kPass);
  EXPECT_EQ(state("a.x within 1.9 .. 2.1", 1.8), State::kFail);
  EXPECT_EQ(state("a.x within 1.9 .. 2.1", 2.2), State::kFail);
  EXPECT_EQ(state("a.x <= 0", 0), State::kPass);
  EXPECT_EQ(state("a.x <= 0", 0.0001), State::kFail);
  const Compared none = CompareWith("a.x <= 2", Evidence::None("nothing was offered"));
  EXPECT_EQ(none.state, State::kInconclusive);
  EXPECT_EQ(none.why, "nothing was offered");
  EXPECT_EQ(CompareWith("1 / a.x <= 2", Evidence::Of(0, 1)).state, State::kInconclusive);
}

TEST(CompareTest, OfWhatWasCutOffOnlyTheKnownPartCounts) {
  Evidence cut = Evidence::Of(2, 10);
  cut.unit = Unit::Seconds();
  cut.at_least = true;
  const auto state = [&](const char* text) { return CompareWith(text, cut).state; };
  EXPECT_EQ(CompareWith("a.x <= 1s", cut).text, "> 2 s > 1 s");
  EXPECT_DOUBLE_EQ(CompareWith("a.x <= 1s", cut).factor, 2);
  EXPECT_EQ(state("a.x <= 1s"), State::kFail);
  EXPECT_EQ(state("a.x <= 2s"), State::kFail);  // more than 2 s
  EXPECT_EQ(state("a.x within 1s .. 2s"), State::kFail);
  EXPECT_EQ(state("a.x == 1s"), State::kFail);
  EXPECT_EQ(state("a.x >= 2s"), State::kPass);
  EXPECT_EQ(state("max(a.x, 3s) < 3s"), State::kFail);
  EXPECT_EQ(state("min(a.x, 1s) <= 1s"), State::kPass);
  // It may be 2.1 s or a year: the phase was too short for this bound.
  EXPECT_EQ(state("a.x <= 3s"), State::kInconclusive);
  EXPECT_EQ(state("a.x >= 3s"), State::kInconclusive);
  EXPECT_THAT(CompareWith("a.x <= 3s", cut).why, HasSubstr("above 2 s when the phase ended"));
  EXPECT_EQ(state("4s - a.x <= 4s"), State::kInconclusive);
  EXPECT_EQ(state("1s <= a.x"), State::kInconclusive);
}

TEST(CompareTest, MissedByHowMuch) {
  const auto factor = [](const char* text, double left, Unit unit = {}) {
    Evidence evidence = Evidence::Of(left, 1);
    evidence.unit = std::move(unit);
    return CompareWith(text, evidence).factor;
  };
  EXPECT_DOUBLE_EQ(factor("a.x <= 2", 6), 3);
  EXPECT_DOUBLE_EQ(factor("a.x >= 6", 2), 3);
  EXPECT_DOUBLE_EQ(factor("a.x within 3 .. 4", 1), 3);
  EXPECT_DOUBLE_EQ(factor("a.x within 3 .. 4", 12), 3);
  EXPECT_DOUBLE_EQ(factor("a.x <= 0", 0.03, Unit::Multiple()), 3);
  EXPECT_DOUBLE_EQ(factor("a.x <= 0", 3, Unit::Count()), 3);
  EXPECT_DOUBLE_EQ(factor("a.x <= 0", 0.003, Unit::Seconds()), 3);
  EXPECT_GT(factor("a.x >= 1", 0), 1000);
}

TEST(CompareTest, NearTiesAreWrittenOut) {
  const Compared near = CompareWith("a.x <= 25", Evidence::Of(25.0004, 1));
  EXPECT_EQ(near.state, State::kFail);
  EXPECT_EQ(near.text, "25 (25.0004) > 25 (25)");
}

TEST(PredictionTest, ScoredInFactorOfTwoBands) {
  Lab lab = TestLab();
  lab.predict = {{"near", "?", "ms", "a.p99", 0}, {"far", "?", "ms", "a.p99", 0},     {"off", "?", "ms", "a.p99", 0},
                 {"gone", "?", "ms", "b.p99", 0}, {"skipped", "?", "ms", "a.p99", 0}, {"zero", "?", "ms", "a.p99", 0}};
  bench::Run run = RunOf({SteadyTrial("a", 6)});
  run.predictions = {{"near", 0.003}, {"far", 0.020}, {"off", 0.050}, {"gone", 1}, {"zero", 0}};
  const std::vector<PredictionScore> scores = Judge(lab, run).predictions;
  ASSERT_EQ(scores.size(), 6u);
  EXPECT_EQ(scores[0].band, "within 2x");
  EXPECT_DOUBLE_EQ(*scores[0].factor, 2);
  EXPECT_EQ(scores[1].band, "within 4x");
  EXPECT_EQ(scores[2].band, "off");
  EXPECT_EQ(scores[3].band, "not asked");
  EXPECT_EQ(scores[4].band, "not asked");
  EXPECT_DOUBLE_EQ(*scores[4].measured, 0.006);
  EXPECT_EQ(scores[5].band, "off");
  EXPECT_FALSE(scores[5].factor.has_value());
  run.trials[0].faults[0].seen_s.reset();
  EXPECT_EQ(Judge(lab, run).predictions[0].band, "not measured");
}

}  // namespace
}  // namespace lab::bench
