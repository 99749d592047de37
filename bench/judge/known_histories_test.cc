#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/testing/cache_trials.h"
#include "bench/judge/testing/recorded.h"
#include "bench/judge/testing/trials.h"

// Every function, every form of an expectation and every invariant on histories that are known to be good, to be bad,
// and to say nothing: the whole judge has to answer pass, fail and inconclusive. What is registered without such a case
// fails EveryOneHasACase.
namespace lab::bench {
namespace {

using ::testing::IsEmpty;
using testing::kMs;
using testing::RunOf;

// What a part reports once a second: `rate` a second more.
Series Counter(const std::string& part, const std::string& name, double rate) {
  Series series{part, name, {}, {}};
  for (int at = -1; at <= 16; ++at) series.samples.emplace_back(at, 100 + rate * (at + 1));
  return series;
}

Series Memory(double before, double in_fault) {
  Series series{"ratelimit", "process_resident_memory_bytes", {}, {}};
  for (int at = -1; at <= 16; ++at) series.samples.emplace_back(at, at > 5 && at < 10 ? in_fault : before);
  return series;
}

// 15 s of 1,000 a second on one key with a fault from 5 to 10 s (testing/trials.h). Good: all is answered in 2 ms, one
// of ten is admitted.
Trial Good() {
  Trial trial = testing::SteadyTrial("a", 2);
  for (size_t i = 0; i < trial.ops.size(); ++i) {
    trial.ops[i].sent_ns += 10'000;
    if (i % 10 != 0) trial.ops[i].answer = Answer::kLimited;
  }
  trial.parts = {{"ratelimit", "ratelimit", "", {}, {}, {}}};
  trial.series = {Counter("ratelimit", "rpc_server_calls_total", 1'000),
                  Counter("ratelimit", "redis_commands_total", 1'000),
                  Counter("ratelimit", "process_cpu_seconds_total", 0.1), Memory(1e6, 1e6)};
  trial.finals = {{"keys", 400}};
  trial.exploration = testing::CleanExploration();
  return trial;
}

// Bad in everything: twice the load, slow, failing, dropped, half of it admitted, too much memory and CPU, healed and
// right again late.
Trial Bad() {
  Trial trial = Good();
  std::vector<Op> more;
  for (size_t i = 0; i < trial.ops.size(); ++i) {
    Op& op = trial.ops[i];
    const bool in_fault = i >= 5'000 && i < 13'000;
    op.answer = i % 2 == 0 ? Answer::kAdmitted : Answer::kLimited;
    op.attempts = 3;
    if (in_fault) {
      op.sent_ns += 30 * kMs;
      op.done_ns = op.sent_ns + 200 * kMs;
      if (i % 10 == 1) op.outcome = Outcome::kFailed, op.answer = Answer::kNone;
      if (i % 10 == 3) op.outcome = Outcome::kUnknown, op.answer = Answer::kNone;
      if (i % 2000 == 5) op = testing::Dropped(op.intended_ns);
    }
    more.push_back(op);  // twice the load
  }
  trial.ops.insert(trial.ops.end(), more.begin(), more.end());
  std::stable_sort(trial.ops.begin(), trial.ops.end(),
                   [](const Op& a, const Op& b) { return a.intended_ns < b.intended_ns; });
  testing::KeepSchedule(trial);
  trial.faults[0].seen_s = 6.5;
  trial.faults[0].healed_s = 12.5;
  trial.series = {Counter("ratelimit", "rpc_server_calls_total", 1'000),
                  Counter("ratelimit", "redis_commands_total", 5'000),
                  Counter("ratelimit", "process_cpu_seconds_total", 0.9), Memory(1e6, 1e9)};
  trial.finals = {{"keys", 4e6}};
  trial.exploration = testing::SpoiltExploration();
  return trial;
}

// Says nothing: everything was given up before it could be offered.
Trial Empty() {
  Trial trial = Good();
  trial.ops.clear();
  trial.series.clear();
  trial.finals.clear();
  trial.exploration.reset();
  trial.faults[0].seen_s.reset();
  return trial;
}

struct Case {
  std::string value, bound;  // a bound that the good history keeps and the bad one does not
  bool of_cache = false;     // the histories are those of a cache
};

void AddCacheCases(std::map<std::string, Case>& cases) {
  const std::vector<std::pair<std::string, std::string>> values = {{"stale_reads", "<= 0"},
                                                                   {"stale_share", "<= 1%"},
                                                                   {"staleness_p99", "<= 100ms"},
                                                                   {"staleness_max", "<= 100ms"},
                                                                   {"read_your_writes", "<= 0"},
                                                                   {"monotonic_reads", "<= 0"},
                                                                   {"inconsistent_after{t=100ms}", "<= 1%"},
                                                                   {"inconsistent_at_most{t=100ms}", "<= 1%"},
                                                                   {"hit_ratio", ">= 80%"},
                                                                   {"origin_loads{phase=pause}", "<= 100"},
                                                                   {"loads_per_expiry{phase=pause, ttl=1s}", "<= 20"}};
  for (const auto& [value, bound] : values) cases[value.substr(0, value.find('{'))] = {value, bound, true};
}

// By function.
std::map<std::string, Case> Cases() {
  std::map<std::string, Case> cases = {
      {"offered", {"offered", "<= 20000"}},
      {"sent", {"sent", "<= 20000"}},
      {"ok", {"ok", "<= 20000"}},
      {"failed", {"failed", "<= 0"}},
      {"unknown", {"unknown", "<= 0"}},
      {"dropped", {"dropped", "<= 0"}},
      {"admitted", {"admitted", "<= 2000"}},
      {"limited", {"limited", ">= 13000"}},
      {"offered_rate", {"offered_rate", "<= 1500/s"}},
      {"sent_rate", {"sent_rate", "<= 1500/s"}},
      {"achieved_rate", {"achieved_rate", "<= 1500/s"}},
      {"failed_rate", {"failed_rate", "<= 0"}},
      {"unknown_rate", {"unknown_rate", "<= 0"}},
      {"dropped_rate", {"dropped_rate", "<= 0"}},
      {"admitted_rate", {"admitted_rate", "<= 200/s"}},
      {"limited_rate", {"limited_rate", ">= 850/s"}},
      {"error_ratio", {"error_ratio", "<= 1%"}},
      {"amplification", {"amplification", "<= 1.5x"}},
      {"dropped_ratio", {"dropped_ratio", "<= 0"}},
      {"limited_ratio", {"limited_ratio", ">= 0.85"}},
      {"lag_p99", {"lag_p99", "<= 1ms"}},
      {"admitted_ratio", {"admitted_ratio{limit=100, window=1s}", "<= 1.2"}},
      {"long_run_ratio", {"long_run_ratio{limit=100, window=1s}", "<= 1.2"}},
      {"worst_window", {"worst_window{limit=100, window=1s}", "<= 1.1"}},
      {"burst", {"burst{limit=100, window=1s, share=10%}", "<= 0.2"}},
      {"false_allow", {"false_allow{limit=110, window=1s}", "<= 0"}},
      {"false_deny", {"false_deny{limit=150, window=1s}", ">= 50%"}},
      {"over_admission", {"over_admission{limit=110, window=1s}", "<= 0"}},
      {"under_admission", {"under_admission{limit=150, window=1s}", ">= 20%"}},
      {"recovery", {"recovery{phase=after}", "<= 1s"}},
      {"detect", {"detect{phase=pause}", "<= 100ms"}},
      {"heal", {"heal{phase=pause}", "<= 200ms"}},
      {"right_again", {"right_again{phase=pause}", "<= 1s"}},
      {"goodput_lost", {"goodput_lost{phase=pause}", "<= 0"}},
      {"lost_time", {"lost_time{phase=pause}", "<= 0"}},
      {"attempts", {"attempts{phase=pause}", "<= 1.5"}},
      {"drained", {"drained{phase=pause}", "<= 100ms"}},
      {"metric", {"metric{part=ratelimit, name=redis_commands_total, as=rate, phase=pause}", "<= 2000/s"}},
      {"cpu", {"cpu{part=ratelimit, phase=pause}", "<= 0.5"}},
      {"cpu_per_op", {"cpu_per_op{part=ratelimit, phase=pause}", "<= 200us"}},
      {"memory_max", {"memory_max{part=ratelimit, phase=pause}", "<= 8mb"}},
      {"memory_growth", {"memory_growth{part=ratelimit, phase=pause}", "<= 8mb"}},
      {"final", {"final{name=keys, unit=none}", "<= 1000"}},
      {"schedules", {"schedules", "<= 60"}},
      {"infeasible_schedules", {"infeasible_schedules", "<= 5"}},
      {"offending_schedules", {"offending_schedules", "<= 0"}},
      {"late_schedules", {"late_schedules", "<= 0"}},
      {"open_races", {"open_races", "<= 0"}}};
  AddCacheCases(cases);
  for (const char* summary : {"p50", "p90", "p95", "p99", "p999", "max", "mean"}) {
    // Of the whole run, so that a p99.9 has its 10,000 samples; more than half of the bad one is slow.
    const std::string bound = std::string(summary) == "p50" ? "<= 2ms" : "<= 20ms";
    for (const char* family : {"latency_", "service_"}) {
      const std::string name = std::string(family) + summary;
      cases[name] = {name, bound};
    }
  }
  return cases;
}

Lab LabOf(const Case& one) { return one.of_cache ? testing::CacheLab() : testing::TestLab(); }

State StateFor(const Case& one, Trial trial) {
  Lab lab = LabOf(one);
  lab.values = {{"v", one.value, "", 0}};
  lab.expect = {{"rule", "each.v " + one.bound, 0}};
  lab.invariants.clear();
  return Judge(lab, RunOf({std::move(trial)})).state;
}

TEST(KnownHistoriesTest, EveryOneHasACase) {
  const std::map<std::string, Case> cases = Cases();
  std::vector<std::string> without;
  for (const Function& function : Functions()) {
    if (!cases.contains(function.name)) without.push_back(function.name);
  }
  EXPECT_THAT(without, IsEmpty()) << "registered without a good, a bad and an empty history";
}

TEST(KnownHistoriesTest, EveryFunctionPassesFailsAndNeedsEvidence) {
  const Trial good = Good(), bad = Bad(), empty = Empty();
  const Trial good_cache = testing::CacheTrial(), bad_cache = testing::BadCacheTrial();
  for (const auto& [name, one] : Cases()) {
    const Trial& holds = one.of_cache ? good_cache : good;
    const Trial& misses = one.of_cache ? bad_cache : bad;
    const Lab lab = LabOf(one);
    EXPECT_EQ(CheckExpression(lab, one.value, ExpressionUse::kValue), "") << name;
    EXPECT_EQ(StateFor(one, holds), State::kPass)
        << name << ": " << testing::Value(holds, one.value, lab).value.value_or(-1)
        << testing::Value(holds, one.value, lab).why;
    EXPECT_EQ(StateFor(one, misses), State::kFail)
        << name << ": " << testing::Value(misses, one.value, lab).value.value_or(-1)
        << testing::Value(misses, one.value, lab).why;
    EXPECT_EQ(StateFor(one, empty), State::kInconclusive) << name;
  }
}

// Only the operations, series and finals are gone, the fault left its receipts: each function must say so itself.
TEST(KnownHistoriesTest, NoFunctionInventsANumber) {
  Trial empty = Empty();
  empty.faults = Good().faults;
  const std::set<std::string> of_receipts = {"detect", "heal"};
  for (const auto& [name, one] : Cases()) {
    const State expected = of_receipts.contains(name) ? State::kPass : State::kInconclusive;
    EXPECT_EQ(StateFor(one, empty), expected) << name;
  }
}

// Of the p99 in the fault: 2 ms good, 230 ms bad.
class FormTest : public ::testing::TestWithParam<const char*> {};

TEST_P(FormTest, PassesFailsAndNeedsEvidence) {
  Lab lab = testing::TestLab();
  lab.values = {{"p99", "latency_p99{phase=pause}", "", 0}, {"inverse", "1 / latency_p99{phase=pause}", "", 0}};
  lab.expect = {{"rule", GetParam(), 0}};
  lab.invariants.clear();
  EXPECT_EQ(CheckExpression(lab, GetParam(), ExpressionUse::kExpectation), "");
  const auto answer = [&](int64_t ms) { return Judge(lab, RunOf({testing::SteadyTrial("a", ms)})).state; };
  EXPECT_EQ(answer(2), State::kPass);
  EXPECT_EQ(answer(230), State::kFail);
  Trial unseen = testing::SteadyTrial("a", 2);
  unseen.faults[0].seen_s.reset();
  EXPECT_EQ(Judge(lab, RunOf({unseen})).state, State::kInconclusive);
  Trial few = testing::SteadyTrial("a", 2);
  std::erase_if(few.ops, [](const Op& op) { return op.intended_ns % (50 * kMs) != 0; });
  testing::KeepSchedule(few);
  EXPECT_EQ(Judge(lab, RunOf({few})).state, State::kInconclusive) << "100 samples are too few for a p99";
}

INSTANTIATE_TEST_SUITE_P(AlmostAll, FormTest,
                         ::testing::Values("a.p99 <= 25ms", "a.p99 < 25ms", "a.inverse >= 40/s", "a.inverse > 40/s",
                                           "a.p99 == 2ms", "a.p99 within 1ms .. 3ms", "each.p99 <= 25ms",
                                           "each.p99 within 1ms .. 3ms", "2 * each.p99 - 1ms <= 20ms",
                                           "max(each.p99, 1ms) <= 25ms", "min(each.p99, 1s) <= 25ms"));

bench::Run Blocks(int64_t a_ms, int64_t b_ms, int64_t b_last_ms) {
  bench::Run run;
  for (int repeat = 1; repeat <= 4; ++repeat) {
    run.trials.push_back(testing::SteadyTrial("a", a_ms, repeat));
    run.trials.push_back(testing::SteadyTrial("b", repeat % 2 == 0 ? b_last_ms : b_ms, repeat));
    run.trials.push_back(testing::SteadyTrial("a", a_ms, repeat));
    run.trials.back().again = true;
  }
  // The phases outside of the fault say nothing here.
  for (Trial& trial : run.trials) {
    std::erase_if(trial.ops, [](const Op& op) { return op.intended_ns % (10 * kMs) != 0; });
    testing::KeepSchedule(trial);
  }
  return run;
}

TEST(KnownHistoriesTest, EveryFormOfAComparisonPassesFailsAndFindsNothing) {
  for (const char* expression : {"b.p99 / a.p99 <= 0.5", "b.p99 <= 0.5 * a.p99", "b.p99 < 0.5 * a.p99",
                                 "a.p99 / b.p99 >= 2", "a.p99 > 2 * b.p99", "b.p99 - 0.5 * a.p99 <= 0",
                                 "each.p99 <= 0.5 * a.p99", "b.p99 / a.p99 within 0.1 .. 0.5"}) {
    Lab lab = testing::TestLab();
    lab.variants.resize(2);
    lab.repeat = 4;
    lab.expect = {{"rule", expression, 0}};
    lab.invariants.clear();
    EXPECT_EQ(CheckExpression(lab, expression, ExpressionUse::kExpectation), "") << expression;
    EXPECT_EQ(Judge(lab, Blocks(100, 20, 21)).state, State::kPass) << expression;
    EXPECT_EQ(Judge(lab, Blocks(100, 150, 160)).state, State::kFail) << expression;
    EXPECT_EQ(Judge(lab, Blocks(100, 20, 160)).state, State::kInconclusive) << expression;
    bench::Run blind = Blocks(100, 20, 21);
    blind.trials[1].faults[0].seen_s.reset();
    EXPECT_EQ(Judge(lab, blind).state, State::kInconclusive) << expression;
  }
}

// The fault ends the phase before the system is well: all that is known is "longer than".
TEST(KnownHistoriesTest, WhatWasCutOffDecidesOnlyWhatItCan) {
  Trial late = Bad();
  for (Op& op : late.ops) {
    if (op.intended_ns >= 10 * testing::kSecond && op.outcome == Outcome::kOk)
      op.outcome = Outcome::kFailed, op.answer = Answer::kNone;
  }
  ASSERT_TRUE(testing::Value(late, "recovery{phase=after}").at_least);
  EXPECT_EQ(StateFor({"recovery{phase=after}", "<= 1s"}, late), State::kFail);
  EXPECT_EQ(StateFor({"recovery{phase=after}", ">= 1s"}, late), State::kPass);
  EXPECT_EQ(StateFor({"recovery{phase=after}", "<= 1h"}, late), State::kInconclusive);
}

struct KnownInvariant {
  std::string good, bad;            // the rule, as it holds and does not hold of the recorded history
  void (*spoil)(Trial&) = nullptr;  // makes the bad one of the good one, where the rule alone does not
  void (*take_evidence)(Trial&) = nullptr;
  bool of_cache = false;
};

std::map<std::string, KnownInvariant> KnownInvariants() {
  return {
      {"every-arrival-accounted",
       {"every-arrival-accounted", "every-arrival-accounted",
        [](Trial& trial) { trial.ops.resize(trial.ops.size() / 2); },
        [](Trial& trial) { trial.streams[1].schedule = nullptr; }}},
      {"limit-holds",
       {"limit-holds{limit=50, window=2s, stream=sliding_log}", "limit-holds{limit=50, window=2s, stream=fixed_window}",
        [](Trial&) {},
        [](Trial& trial) {
          for (Op& op : trial.ops) op.outcome = Outcome::kUnknown, op.answer = Answer::kNone;
        }}},
      {"never-stale",
       {"never-stale{bound=100ms}", "never-stale{bound=100ms}", [](Trial& trial) { trial = testing::BadCacheTrial(); },
        [](Trial& trial) {
          for (Op& op : trial.ops) op.version = 0;
        },
        true}},
      {"no-stale-at-rest",
       {"no-stale-at-rest", "no-stale-at-rest", [](Trial& trial) { trial = testing::BadCacheTrial(); },
        [](Trial& trial) { trial.at_rest.reset(); }, true}},
      {"no-open-race",
       {"no-open-race", "no-open-race", [](Trial& trial) { trial.exploration = testing::SpoiltExploration(); },
        [](Trial& trial) { trial.exploration.reset(); }}},
      {"races-as-expected",
       {"races-as-expected", "races-as-expected",
        [](Trial& trial) { trial.exploration = testing::SpoiltExploration(); },
        [](Trial& trial) { trial.exploration.reset(); }}}};
}

TEST(KnownHistoriesTest, EveryInvariantPassesFailsAndNeedsEvidence) {
  const std::map<std::string, KnownInvariant> known = KnownInvariants();
  for (const std::string& name : InvariantNames()) {
    ASSERT_TRUE(known.contains(name)) << name << " is registered without a good, a bad and an empty history";
    const KnownInvariant& one = known.at(name);
    const auto judged = [&](const std::string& rule, void (*change)(Trial&)) {
      Lab lab = one.of_cache ? testing::CacheLab() : testing::RecordedLab();
      lab.invariants = {rule};
      lab.expect.clear();
      EXPECT_EQ(CheckExpression(lab, rule, ExpressionUse::kInvariant), "");
      Trial trial = one.of_cache ? testing::CacheTrial() : testing::RecordedLimiter();
      trial.exploration = testing::CleanExploration();
      if (change != nullptr) change(trial);
      return Judge(lab, RunOf({std::move(trial)}));
    };
    EXPECT_EQ(judged(one.good, nullptr).state, State::kPass) << name;
    const Verdict bad = judged(one.bad, one.spoil);
    EXPECT_EQ(bad.state, State::kFail) << name;
    EXPECT_FALSE(bad.findings[0].offenders.empty()) << name;
    EXPECT_EQ(judged(one.good, one.take_evidence).state, State::kInconclusive) << name;
  }
}

TEST(KnownHistoriesTest, AFixedWindowsOneTooManyIsNamed) {
  Lab lab = testing::RecordedLab();
  lab.invariants = {"limit-holds{limit=50, window=2s, stream=fixed_window}"};
  const Verdict verdict = Judge(lab, RunOf({testing::RecordedLimiter()}));
  ASSERT_FALSE(verdict.findings[0].offenders.empty());
  EXPECT_THAT(verdict.findings[0].offenders[0],
              ::testing::ContainsRegex("fixed_window key [0-9]: [0-9]+ admitted within 2s from .*; one too many: "
                                       "fixed_window key [0-9], intended at .* \\(edge\\+"));
}

}  // namespace
}  // namespace lab::bench
