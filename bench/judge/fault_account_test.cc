#include "bench/judge/fault_account.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/judge/judge.h"
#include "bench/judge/testing/trials.h"

namespace lab::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::kMs;
using testing::kSecond;
using testing::SteadyTrial;
using testing::Value;

// 1,000 a second; from 6 to 8 s nothing is answered well.
Trial WithGap() {
  Trial trial = SteadyTrial("a", 1);
  for (Op& op : trial.ops) {
    op.answer = Answer::kNone;
    if (op.intended_ns >= 6 * kSecond && op.intended_ns < 8 * kSecond) op.outcome = Outcome::kFailed;
  }
  return trial;
}

double Known(const Trial& trial, const std::string& text) {
  const Evidence evidence = Value(trial, text);
  EXPECT_TRUE(evidence.value.has_value()) << text << ": " << evidence.why;
  return evidence.value.value_or(-1);
}

TEST(FaultAccountTest, GoodputLostIsTheAreaBelowTheNormalRate) {
  EXPECT_NEAR(Known(WithGap(), "goodput_lost{phase=pause}"), 2'000, 5);
  EXPECT_NEAR(Known(WithGap(), "lost_time{phase=pause}"), 2, 0.15);
  EXPECT_EQ(Known(SteadyTrial("a", 1), "goodput_lost{phase=pause}"), 0);
  EXPECT_EQ(Known(SteadyTrial("a", 1), "lost_time{phase=pause}"), 0);
}

TEST(FaultAccountTest, OfALimiterGoodputIsWhatItAdmits) {
  Trial trial = SteadyTrial("a", 1);
  for (Op& op : trial.ops) {
    const bool denied = op.intended_ns >= 5 * kSecond && op.intended_ns < 10 * kSecond;
    if (denied || op.intended_ns % (10 * kMs) != 0) op.answer = Answer::kLimited;
  }
  // 100 a second were admitted before; all is answered, and nothing of it is what the caller came for.
  EXPECT_NEAR(Known(trial, "goodput_lost{phase=pause}"), 500, 2);
  EXPECT_NEAR(Known(trial, "lost_time{phase=pause}"), 5, 1e-9);
}

TEST(FaultAccountTest, ATenthMissingIsNoLoss) {
  Trial trial = WithGap();
  for (size_t i = 0; i < trial.ops.size(); ++i) {
    if (i % 20 != 0) trial.ops[i].outcome = Outcome::kOk;
  }
  EXPECT_EQ(Known(trial, "goodput_lost{phase=pause}"), 0);
}

TEST(FaultAccountTest, DrainedWhenNoMoreIsInFlightThanBefore) {
  Trial trial = SteadyTrial("a", 1);
  // What came in the fault is answered one after the other until 11.5 s.
  for (Op& op : trial.ops) {
    if (op.intended_ns >= 5 * kSecond && op.intended_ns < 10 * kSecond)
      op.done_ns = 10 * kSecond + (op.intended_ns - 5 * kSecond) * 3 / 10;
  }
  EXPECT_NEAR(Known(trial, "drained{phase=pause}"), 1.5, 0.02);
  EXPECT_EQ(Known(SteadyTrial("a", 1), "drained{phase=pause}"), 0);
  for (Op& op : trial.ops) {
    if (op.intended_ns >= 5 * kSecond) op.done_ns = 20 * kSecond;
  }
  EXPECT_TRUE(Value(trial, "drained{phase=pause}").at_least);
}

TEST(FaultAccountTest, AttemptsAreCallsOfTheStoreForEachRequestServed) {
  Trial trial = SteadyTrial("a", 1);
  EXPECT_THAT(Value(trial, "attempts{phase=pause}").why, HasSubstr("no part counts"));
  trial.parts = {{"redis", "redis", "", {}, {}, {}}, {"ratelimit", "ratelimit", "", {}, {}, {}}};
  Series served{"ratelimit", "rpc_server_calls_total", {}, {}}, commands{"ratelimit", "redis_commands_total", {}, {}};
  for (int at = -1; at <= 16; ++at) {
    served.samples.emplace_back(at, 1'000.0 * at);
    commands.samples.emplace_back(at, at <= 5 ? 1'000.0 * at : 5'000 + 3'000.0 * (at - 5));
  }
  trial.series = {served, commands};
  EXPECT_NEAR(Known(trial, "attempts{phase=pause}"), 3, 1e-9);
}

TEST(FaultAccountTest, RightAgainAndHealCountFromTheAskingForTheEnd) {
  Trial trial = WithGap();
  for (Op& op : trial.ops) {
    if (op.intended_ns >= 10 * kSecond && op.intended_ns < 11 * kSecond) op.outcome = Outcome::kFailed;
  }
  EXPECT_NEAR(Known(trial, "right_again{phase=pause}"), 1, 0.05);
  EXPECT_NEAR(Known(trial, "heal{phase=pause}"), 0.1, 1e-9);
  EXPECT_THAT(Value(trial, "heal{phase=steady}").why, HasSubstr("no fault began in steady"));
}

TEST(FaultAccountTest, OnlyUntilTheNextFault) {
  Trial trial = SteadyTrial("a", 1);
  FaultRecord next = trial.faults[0];
  next.id = "redis.flush#2";
  next.phase = "after";
  next.asked_s = 10.3;
  next.heal_asked_s.reset();
  next.healed_s.reset();
  next.seen_s = 10.31;
  trial.faults.push_back(next);
  EXPECT_THAT(Value(trial, "right_again{phase=pause}").why, HasSubstr("ends less than 1.0 s after the heal"));
  EXPECT_EQ(Known(trial, "right_again{phase=after}"), 0) << "a blow counts from when it was seen";
}

TEST(FaultAccountTest, TheVerdictHoldsThoseOfEveryFaultAndVariant) {
  std::vector<Trial> trials = {WithGap(), SteadyTrial("b", 1), SteadyTrial("a", 1, 1), WithGap()};
  trials[3].repeat = 2;
  const Verdict verdict = Judge(testing::TestLab(), testing::RunOf(trials));
  ASSERT_EQ(verdict.recoveries.size(), 2u);
  std::vector<std::string> names;
  for (const Measured& measured : verdict.recoveries[0].values) names.push_back(measured.name);
  EXPECT_THAT(names, ElementsAre("detect", "heal", "right_again", "goodput_lost", "lost_time", "attempts", "drained"));
  EXPECT_EQ(verdict.recoveries[0].variant, "a");
  EXPECT_EQ(verdict.recoveries[0].fault, "redis.pause#1");
  EXPECT_NEAR(*verdict.recoveries[0].values[3].value, 2'000, 5) << "the median of three repeats";
  EXPECT_EQ(verdict.recoveries[1].variant, "b");
  EXPECT_EQ(*verdict.recoveries[1].values[3].value, 0);
  EXPECT_FALSE(verdict.recoveries[1].values[5].value.has_value());
  // What is no evidence for a verdict is none for this.
  trials[1].problems = {"the generator was starved"};
  EXPECT_EQ(Judge(testing::TestLab(), testing::RunOf(trials)).recoveries.size(), 1u);
}

}  // namespace
}  // namespace lab::bench
