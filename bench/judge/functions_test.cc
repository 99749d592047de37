#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>

#include "bench/judge/testing/trials.h"
#include "services/runtime/base/text.h"

// Each function on trials that are small enough to know the answer.
namespace lab::bench {
namespace {

using testing::At;
using testing::Dropped;
using testing::EmptyTrial;
using ::testing::HasSubstr;
using testing::kMs;
using testing::kSecond;
using testing::SteadyTrial;
using testing::Value;

double Known(const Trial& trial, const std::string& text) {
  const Evidence evidence = Value(trial, text);
  EXPECT_TRUE(evidence.value.has_value()) << text << ": " << evidence.why;
  EXPECT_GT(evidence.samples, 0u) << text;
  return evidence.value.value_or(-1);
}

std::string Missing(const Trial& trial, const std::string& text) {
  const Evidence evidence = Value(trial, text);
  EXPECT_FALSE(evidence.value.has_value()) << text << " = " << evidence.value.value_or(0);
  EXPECT_NE(evidence.why, "") << text;
  return evidence.why;
}

Op With(Op op, Outcome outcome) {
  op.outcome = outcome;
  op.answer = Answer::kNone;
  return op;
}

TEST(CountsTest, ByPhaseByStreamAndByRate) {
  Trial trial = EmptyTrial();
  trial.streams.push_back({"other", "ratelimit.grpc", 1, 0, "", nullptr});
  trial.ops = {At(1 * kSecond, kMs),
               At(2 * kSecond, kMs, Answer::kLimited),
               With(At(3 * kSecond, kMs), Outcome::kFailed),
               With(At(4 * kSecond, kSecond), Outcome::kUnknown),
               Dropped(4 * kSecond + 1),
               At(6 * kSecond, kMs),
               At(7 * kSecond, kMs, Answer::kAdmitted, 0, 1)};
  EXPECT_DOUBLE_EQ(Known(trial, "offered"), 7);
  EXPECT_DOUBLE_EQ(Known(trial, "offered{phase=steady}"), 5);
  EXPECT_DOUBLE_EQ(Known(trial, "sent{phase=steady}"), 4);
  EXPECT_DOUBLE_EQ(Known(trial, "ok{phase=steady}"), 2);
  EXPECT_DOUBLE_EQ(Known(trial, "failed{phase=steady}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "unknown{phase=steady}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "dropped{phase=steady}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "admitted"), 3);
  EXPECT_DOUBLE_EQ(Known(trial, "limited"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "admitted{stream=main}"), 2);
  EXPECT_DOUBLE_EQ(Known(trial, "offered_rate{phase=steady}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "achieved_rate{phase=steady+pause}"), 0.4);
  EXPECT_DOUBLE_EQ(Known(trial, "error_ratio{phase=steady}"), 0.5);
  EXPECT_DOUBLE_EQ(Known(trial, "amplification{phase=steady}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "dropped_ratio{phase=steady}"), 0.2);
  EXPECT_DOUBLE_EQ(Known(trial, "limited_ratio{phase=steady}"), 0.5);
  EXPECT_THAT(Missing(trial, "offered{phase=after}"), HasSubstr("nothing was offered"));
  EXPECT_THAT(Missing(EmptyTrial(), "error_ratio"), HasSubstr("no operation ended"));
}

TEST(CountsTest, AFaultsWindowTakesOnlyWhatLiesWhollyInside) {
  Trial trial = EmptyTrial();                         // seen at 5.02 s, heal asked at 10 s
  trial.ops = {At(5 * kSecond, 10 * kMs),             // before the receipt
               At(5 * kSecond + 10 * kMs, 20 * kMs),  // sent before, answered after it
               At(6 * kSecond, 10 * kMs),             // inside
               At(10 * kSecond - 5 * kMs, 10 * kMs),  // answered after the heal
               At(11 * kSecond, 10 * kMs)};
  EXPECT_DOUBLE_EQ(Known(trial, "admitted{fault=pause}"), 1);
  trial.faults[0].seen_s.reset();
  EXPECT_THAT(Missing(trial, "admitted{fault=pause}"), HasSubstr("redis.pause#1 was never seen"));
}

TEST(LatencyTest, QuantilesNeedTheirSamples) {
  Trial trial = EmptyTrial();
  for (int i = 1; i <= 300; ++i) trial.ops.push_back(At(i * kMs, i * kMs));
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p50{phase=steady}"), 0.150);
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p90{phase=steady}"), 0.270);
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p95{phase=steady}"), 0.285);
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p99{phase=steady}"), 0.297);
  EXPECT_DOUBLE_EQ(Known(trial, "latency_max{phase=steady}"), 0.300);
  EXPECT_NEAR(Known(trial, "latency_mean{phase=steady}"), 0.1505, 1e-12);
  EXPECT_EQ(Value(trial, "latency_p99").samples, 300u);
  EXPECT_THAT(Missing(trial, "latency_p999"), HasSubstr("too few samples: 300 of 10000"));
  trial.ops.pop_back();
  EXPECT_THAT(Missing(trial, "latency_p99"), HasSubstr("too few samples: 299 of 300"));
  for (int i = 0; i < 10'000; ++i) trial.ops.push_back(At(kSecond + i, kMs));
  EXPECT_NEAR(Known(trial, "latency_p999"), 0.289, 0.0015);
}

TEST(LatencyTest, AfterLeavesOutTheBeginningOfEachPhase) {
  Trial trial = EmptyTrial();  // steady: 0 to 5 s, pause: 5 to 10 s
  trial.ops = {At(kSecond - 1, 900 * kMs), At(kSecond, 30 * kMs), At(6 * kSecond - 1, 800 * kMs),
               At(6 * kSecond, 20 * kMs)};
  EXPECT_DOUBLE_EQ(Known(trial, "latency_max{phase=steady+pause, after=1s}"), 0.03);
  EXPECT_DOUBLE_EQ(Known(trial, "latency_max{phase=pause, after=1s}"), 0.02);
  EXPECT_THAT(Missing(trial, "latency_max{phase=pause, after=5s}"), HasSubstr("has no length"));
  EXPECT_THAT(Missing(trial, "latency_max{after=5s}"), HasSubstr("needs phase="));
}

TEST(LatencyTest, CountsFromTheIntendedTimeAndUnknownUntilGivenUp) {
  Trial trial = EmptyTrial();
  Op late = At(kSecond, 100 * kMs);
  late.sent_ns += 40 * kMs;
  trial.ops = {late, With(At(2 * kSecond, 3 * kSecond), Outcome::kUnknown)};
  EXPECT_DOUBLE_EQ(Known(trial, "latency_max{phase=steady}"), 3);
  trial.ops.pop_back();
  EXPECT_DOUBLE_EQ(Known(trial, "latency_max"), 0.1);
  EXPECT_DOUBLE_EQ(Known(trial, "service_max"), 0.06);
  for (int i = 0; i < 400; ++i) trial.ops.push_back(late);
  EXPECT_DOUBLE_EQ(Known(trial, "lag_p99"), 0.04);
}

TEST(LatencyTest, DroppedArrivalsHaveNoLatencyButAreNotForgotten) {
  Trial trial = EmptyTrial();
  for (int i = 1; i <= 1000; ++i) trial.ops.push_back(At(i * kMs, kMs));
  for (int i = 0; i < 5; ++i) trial.ops.push_back(Dropped(2 * kSecond));
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p99{phase=steady}"), 0.001);
  for (int i = 0; i < 20; ++i) trial.ops.push_back(Dropped(2 * kSecond));
  EXPECT_THAT(Missing(trial, "latency_p99{phase=steady}"), HasSubstr("2.4 % of the arrivals were dropped"));
  EXPECT_DOUBLE_EQ(Known(trial, "latency_p95{phase=steady}"), 0.001);
  EXPECT_THAT(Missing(trial, "latency_max{phase=steady}"), HasSubstr("dropped"));
}

TEST(LimiterValuesTest, AdmittedRatioCountsAgainstAllKeys) {
  Trial trial = EmptyTrial("a", 4);
  // Window of the fault: 4.98 s. 10 admitted of 4 keys x 1/s x 4.98 s.
  for (int i = 0; i < 10; ++i) trial.ops.push_back(At(6 * kSecond + i * kMs, kMs));
  trial.ops.push_back(At(7 * kSecond, kMs, Answer::kLimited));
  EXPECT_NEAR(Known(trial, "admitted_ratio{fault=pause, limit=1, window=1s}"), 10 / (4 * 4.98), 1e-9);
  EXPECT_NEAR(Known(trial, "admitted_ratio{phase=pause, limit=2, window=500ms}"), 10 / (4 * 2 * 10.0), 1e-9);
  EXPECT_NEAR(Known(trial, "long_run_ratio{phase=pause, limit=1, window=1s}"), 0.5, 1e-9);
  EXPECT_THAT(Missing(trial, "long_run_ratio{phase=pause, limit=1, window=6s}"), HasSubstr("shorter than one window"));
  EXPECT_THAT(Missing(trial, "admitted_ratio{phase=after, limit=1, window=1s}"), HasSubstr("answered nothing"));
}

TEST(LimiterValuesTest, NothingAdmittedIsZeroButNothingAnsweredIsNoEvidence) {
  Trial trial = EmptyTrial();
  trial.ops = {At(6 * kSecond, kMs, Answer::kLimited)};
  EXPECT_DOUBLE_EQ(Known(trial, "admitted_ratio{fault=pause, limit=1, window=1s}"), 0);
  EXPECT_DOUBLE_EQ(Known(trial, "worst_window{phase=pause, limit=1, window=1s}"), 0);
  trial.ops = {With(At(6 * kSecond, kSecond), Outcome::kUnknown)};
  Missing(trial, "admitted_ratio{fault=pause, limit=1, window=1s}");
  Missing(trial, "worst_window{phase=pause, limit=1, window=1s}");
  Missing(trial, "false_deny{limit=1, window=1s}");
  Missing(trial, "limited_ratio");
}

TEST(LimiterValuesTest, WorstWindowSlidingAlignedAndBurst) {
  Trial trial = EmptyTrial("a", 2);
  // Key 0: two bursts of 50 around 2 s (an edge of aligned 2 s windows); key 1 quiet.
  for (int i = 0; i < 50; ++i) trial.ops.push_back(At(1900 * kMs + i, kMs, Answer::kAdmitted, 0));
  for (int i = 0; i < 50; ++i) trial.ops.push_back(At(2100 * kMs + i, kMs, Answer::kAdmitted, 0));
  trial.ops.push_back(At(3 * kSecond, kMs, Answer::kAdmitted, 1));
  EXPECT_DOUBLE_EQ(Known(trial, "worst_window{limit=50, window=2s}"), 2);
  EXPECT_DOUBLE_EQ(Known(trial, "worst_window{limit=50, window=2s, aligned=yes}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "burst{limit=50, window=2s}"), 1);
  EXPECT_DOUBLE_EQ(Known(trial, "burst{limit=50, window=2s, share=25%}"), 2);
  trial.started_unix_ns += kSecond;  // the same bursts then lie in one aligned window
  EXPECT_DOUBLE_EQ(Known(trial, "worst_window{limit=50, window=2s, aligned=yes}"), 2);
  trial.started_unix_ns = 0;
  Missing(trial, "worst_window{limit=50, window=2s, aligned=yes}");
}

TEST(LimiterValuesTest, FalseAllowAndDenyUseTheWholeHistory) {
  Trial trial = EmptyTrial();
  trial.ops = {At(4900 * kMs, kMs), At(5100 * kMs, kMs), At(5200 * kMs, kMs, Answer::kLimited),
               At(8 * kSecond, kMs, Answer::kLimited)};
  // In "pause": 5.1 s admitted although 4.9 s was (limit 1 a second); at 8 s denied although nothing was admitted.
  EXPECT_NEAR(Known(trial, "false_allow{limit=1, window=1s, phase=pause}"), 1.0 / 3, 1e-12);
  EXPECT_NEAR(Known(trial, "false_deny{limit=1, window=1s, phase=pause}"), 1.0 / 3, 1e-12);
}

// 1,000/s of which every tenth is admitted in steady; after the heal at 10 s, bad for `bad_ms`.
Trial Recovering(int64_t bad_ms, const Op& bad) {
  Trial trial = EmptyTrial();
  for (int64_t i = 0; i < 15'000; ++i) {
    Op op = At(i * kMs, kMs, i % 10 == 0 ? Answer::kAdmitted : Answer::kLimited);
    if (i >= 5'000 && i < 10'000 + bad_ms) {
      op = bad;
      op.intended_ns = op.sent_ns = i * kMs;
      op.done_ns = op.sent_ns + bad.done_ns;
    }
    trial.ops.push_back(op);
  }
  return trial;
}

TEST(RecoveryTest, IsTheFirstMomentFromWhichAllIsWell) {
  const Op failing = With(At(0, kMs), Outcome::kFailed);
  EXPECT_DOUBLE_EQ(Known(Recovering(0, failing), "recovery{phase=after}"), 0);
  EXPECT_NEAR(Known(Recovering(430, failing), "recovery{phase=after}"), 0.5, 1e-9);
  EXPECT_NEAR(Known(Recovering(1200, At(0, 100 * kMs, Answer::kLimited)), "recovery{phase=after}"), 1.2, 1e-9);
  // Fast and well, but admitting everything: not right before the limit counts again.
  EXPECT_NEAR(Known(Recovering(1500, At(0, kMs, Answer::kAdmitted)), "recovery{phase=after}"), 1.5, 0.11);
  EXPECT_NEAR(Known(Recovering(2500, At(0, kMs, Answer::kLimited)), "recovery{phase=after}"), 1.9, 0.2);
}

TEST(RecoveryTest, NotRightBeforeTheEndIsAtLeastThatLong) {
  const Evidence never = Value(Recovering(5000, With(At(0, kMs), Outcome::kUnknown)), "recovery{phase=after}");
  ASSERT_TRUE(never.value.has_value());
  EXPECT_TRUE(never.at_least);
  EXPECT_NEAR(*never.value, 4.0, 1e-9);
}

TEST(RecoveryTest, WithoutEvidenceThereIsNone) {
  Trial trial = Recovering(0, At(0, kMs));
  trial.faults[0].heal_asked_s.reset();
  EXPECT_THAT(Missing(trial, "recovery{phase=after}"), HasSubstr("has no end"));
  trial.faults.clear();
  EXPECT_THAT(Missing(trial, "recovery{phase=after}"), HasSubstr("no fault began before"));
  Trial silent = Recovering(0, At(0, kMs));
  std::erase_if(silent.ops, [](const Op& op) { return op.intended_ns < 5 * kSecond; });
  EXPECT_THAT(Missing(silent, "recovery{phase=after}"), HasSubstr("nothing was answered in steady"));
  Trial brief = Recovering(0, At(0, kMs));
  brief.phases[2].end_s = 10.9;
  EXPECT_THAT(Missing(brief, "recovery{phase=after}"), HasSubstr("ends less than 1.0 s after the heal"));
}

TEST(RecoveryTest, CountsFromTheHealOfTheFaultThatEndedLast) {
  // Asked for first and healed last: at 11 s, after the one that the phase is named for.
  Trial trial = Recovering(0, At(0, kMs, Answer::kLimited));
  FaultRecord longer = trial.faults[0];
  longer.asked_s = 4;
  longer.heal_asked_s = 11;
  trial.faults.insert(trial.faults.begin(), longer);
  for (Op& op : trial.ops) {
    if (op.intended_ns >= 10 * kSecond && op.intended_ns < 11 * kSecond + 200 * kMs) op.outcome = Outcome::kFailed;
  }
  EXPECT_NEAR(Known(trial, "recovery{phase=after}"), 0.2, 1e-9);
  trial.faults[0].heal_asked_s.reset();
  EXPECT_THAT(Missing(trial, "recovery{phase=after}"), HasSubstr("has no end"));
}

TEST(RecoveryTest, DetectIsFromAskedToSeen) {
  EXPECT_NEAR(Known(EmptyTrial(), "detect{phase=pause}"), 0.02, 1e-12);
  Trial blind = EmptyTrial();
  blind.faults[0].seen_s.reset();
  EXPECT_THAT(Missing(blind, "detect{phase=pause}"), HasSubstr("never seen"));
}

TEST(SeriesValuesTest, CountersGaugesAndResets) {
  Trial trial = EmptyTrial();
  Series ok{"ratelimit", "redis_operations_total", {{"outcome", "ok"}}, {}};
  Series late{"ratelimit", "redis_operations_total", {{"outcome", "late"}}, {}};
  Series cpu{"ratelimit", "process_cpu_seconds_total", {}, {}};
  Series memory{"ratelimit", "process_resident_memory_bytes", {}, {}};
  for (int second = -1; second <= 15; ++second) {
    ok.samples.emplace_back(second, second < 8 ? 100.0 * (second + 1) : 100.0 * (second - 8));  // restarted at 8 s
    late.samples.emplace_back(second, 1);
    cpu.samples.emplace_back(second, 0.25 * second);
    memory.samples.emplace_back(second, second == 7 ? 30e6 : 20e6);
  }
  trial.series = {ok, late, cpu, memory};
  EXPECT_NEAR(Known(trial, "metric{part=ratelimit, name=redis_operations_total, phase=steady, as=rate}"), 100, 1e-9);
  EXPECT_NEAR(Known(trial, "metric{part=ratelimit, name=redis_operations_total, outcome=ok, phase=pause, as=delta}"),
              400, 1e-9);
  EXPECT_NEAR(Known(trial, "metric{part=ratelimit, name=redis_operations_total, outcome=late, phase=pause, as=delta}"),
              0, 1e-9);
  EXPECT_NEAR(Known(trial, "metric{part=ratelimit, name=redis_operations_total, phase=steady}"), 601, 1e-9);
  EXPECT_NEAR(Known(trial, "cpu{part=ratelimit, phase=steady}"), 0.25, 1e-9);
  EXPECT_NEAR(Known(trial, "memory_max{part=ratelimit, phase=pause}"), 30e6, 1e-3);
  EXPECT_NEAR(Known(trial, "memory_growth{part=ratelimit, phase=pause}"), 10e6, 1e-3);
  EXPECT_NEAR(Known(trial, "memory_growth{part=ratelimit, phase=after}"), 0, 1e-3);
  for (int i = 0; i < 50; ++i) trial.ops.push_back(At(i * kMs, kMs));
  EXPECT_NEAR(Known(trial, "cpu_per_op{part=ratelimit, phase=steady}"), 1.25 / 50, 1e-9);
  EXPECT_THAT(Missing(trial, "metric{part=redis, name=redis_operations_total}"), HasSubstr("redis reported no"));
  EXPECT_THAT(Missing(trial, "metric{part=ratelimit, name=redis_operations_total, outcome=lost}"),
              HasSubstr("reported no"));
  trial.series[3].samples.resize(8);  // the last read is at 6 s: nothing of "after"
  EXPECT_THAT(Missing(trial, "memory_max{part=ratelimit, phase=after}"), HasSubstr("was not read then"));
}

TEST(SeriesValuesTest, NothingIsKnownOfAHole) {
  Trial trial = EmptyTrial();  // pause: 5 to 10 s
  Series used{"redis", "redis_used_memory", {}, {}};
  Series commands{"redis", "redis_total_commands_processed", {}, {}};
  for (const double at_s : {-0.2, 0.8, 1.8, 2.8, 3.8, 4.8, 10.4, 11.4, 12.4, 13.4, 14.4, 15.1}) {
    used.samples.emplace_back(at_s, 1e6);
    commands.samples.emplace_back(at_s, 100 * at_s + 100);
  }
  trial.series = {used, commands};
  for (const char* as : {"max", "min", "mean", "last"}) {
    EXPECT_THAT(Missing(trial, Concat("metric{part=redis, name=redis_used_memory, phase=pause, as=", as, "}")),
                HasSubstr("not read"))
        << as;
    EXPECT_NEAR(Known(trial, "metric{part=redis, name=redis_used_memory, phase=steady+after, as=last}"), 1e6, 1);
  }
  EXPECT_THAT(Missing(trial, "metric{part=redis, name=redis_total_commands_processed, phase=pause, as=rate}"),
              HasSubstr("was not read then"));
  EXPECT_THAT(Missing(trial, "metric{part=redis, name=redis_used_memory, as=max}"), HasSubstr("not read for 2.5 s"));
  // The whole timeline begins and ends where it was read: a counter has counted on through the hole.
  EXPECT_NEAR(Known(trial, "metric{part=redis, name=redis_total_commands_processed, as=delta}"), 1500, 1);
}

TEST(SeriesValuesTest, ReplicasAddUpAndFinalsAreRead) {
  Trial trial = EmptyTrial();
  for (const auto& [part, bytes] : {std::pair("ratelimit-1", 1e6), {"ratelimit-2", 2e6}, {"ratelimiter", 9e6}}) {
    Series series{part, "process_resident_memory_bytes", {}, {}};
    for (int second = 0; second <= 15; ++second) series.samples.emplace_back(second, bytes);
    trial.series.push_back(series);
  }
  EXPECT_NEAR(Known(trial, "memory_max{part=ratelimit}"), 3e6, 1e-3);
  trial.finals["redis.memory_per_key{lane=gcra}"] = 96;
  EXPECT_DOUBLE_EQ(Known(trial, "final{name=redis.memory_per_key{lane=gcra}}"), 96);
  EXPECT_EQ(Value(trial, "final{name=redis.memory_per_key{lane=gcra}}").unit.label, "bytes");
  EXPECT_THAT(Missing(trial, "final{name=redis.memory}"), HasSubstr("no final read"));
}

TEST(FunctionsTest, EveryOneSaysWhyItHasNoValueOnAnEmptyTrial) {
  for (const Function& function : Functions()) {
    const std::vector<Selector> selectors = {
        {"limit", "1", 0}, {"window", "1s", 0}, {"phase", "after", 0}, {"part", "redis", 0}, {"name", "x", 0}};
    const Evidence evidence = function.evaluate(EmptyTrial(), testing::TestLab(), Selectors(selectors));
    EXPECT_FALSE(evidence.value.has_value()) << function.name;
    EXPECT_NE(evidence.why, "") << function.name;
    const Evidence nowhere = function.evaluate(Trial(), testing::TestLab(), Selectors(selectors));
    EXPECT_FALSE(nowhere.value.has_value()) << function.name;
  }
}

TEST(FunctionsTest, CostOnAFullTrialIsPrinted) {
  Trial trial = EmptyTrial("a", 400);
  for (int64_t i = 0; i < 200'000; ++i) {
    trial.ops.push_back(
        At(i * 75'000, kMs, i % 10 == 0 ? Answer::kAdmitted : Answer::kLimited, static_cast<uint32_t>(i % 400)));
  }
  const auto begin = std::chrono::steady_clock::now();
  for (const char* text :
       {"latency_p99{phase=pause}", "latency_max{phase=pause}", "admitted_ratio{fault=pause, limit=1, window=1s}",
        "worst_window{limit=1, window=1s}", "false_allow{limit=1, window=1s}", "recovery{phase=after}",
        "achieved_rate{phase=steady}", "error_ratio"}) {
    EXPECT_TRUE(Value(trial, text).value.has_value()) << text;
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  std::cout << "8 values over 200,000 operations: " << took.count() << " ms\n";
}

}  // namespace
}  // namespace lab::bench
