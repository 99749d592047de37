#include "bench/judge/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <iostream>

#include "bench/judge/selection.h"
#include "bench/judge/testing/trials.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using ::testing::AnyOf;
using testing::At;
using ::testing::Contains;
using testing::EmptyTrial;
using ::testing::HasSubstr;
using testing::kMs;
using testing::kSecond;
using ::testing::Not;

InvariantResult Check(const Trial& trial, const std::string& text) {
  const absl::StatusOr<Node> call = ParseCall(text);
  return FindInvariant(call->name)->check(trial, testing::TestLab(), Selectors(call->selectors));
}

InvariantResult Accounted(const Trial& trial) { return Check(trial, "every-arrival-accounted"); }

// 500 arrivals on 7 keys, unevenly spaced, two of them at the same moment; all outcomes occur.
Trial MixedTrial() {
  Trial trial = EmptyTrial("a", 7);
  Random random(11);
  int64_t at = 0;
  for (int i = 0; i < 500; ++i) {
    if (i != 250) at += 1 + static_cast<int64_t>(random.Below(20 * kMs));
    Op op = At(at, kMs + static_cast<int64_t>(random.Below(kMs)), Answer::kAdmitted, static_cast<uint32_t>(i % 7));
    if (i % 11 == 3) {
      op.outcome = Outcome::kUnknown;
      op.answer = Answer::kNone;
    }
    if (i % 13 == 5) {
      op = testing::Dropped(at);
      op.key = static_cast<uint32_t>(i % 7);
    }
    trial.ops.push_back(op);
  }
  testing::KeepSchedule(trial);
  return trial;
}

TEST(EveryArrivalAccountedTest, AWholeLedgerPasses) {
  const InvariantResult result = Accounted(MixedTrial());
  EXPECT_EQ(result.state, State::kPass) << ::testing::PrintToString(result.offenders);
  EXPECT_THAT(result.measured, HasSubstr("500 arrivals"));
}

TEST(EveryArrivalAccountedTest, WithoutTheScheduleNothingIsProved) {
  Trial trial = MixedTrial();
  trial.streams[0].schedule = nullptr;
  EXPECT_EQ(Accounted(trial).state, State::kInconclusive);
  EXPECT_THAT(Accounted(trial).why, HasSubstr("the schedule of main was not kept"));
  EXPECT_EQ(Accounted(EmptyTrial()).state, State::kInconclusive);
}

TEST(EveryArrivalAccountedTest, NamesEveryMutatedRecord) {
  const uint64_t seed = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  std::cout << "seed " << seed << "\n";
  Random random(seed);
  const Trial whole = MixedTrial();
  for (int round = 0; round < 1000; ++round) {
    Trial trial = whole;
    const size_t index = random.Below(trial.ops.size());
    const Op victim = trial.ops[index];
    const auto place = trial.ops.begin() + static_cast<int64_t>(index);
    const int kind = round % 4;
    if (kind == 0) trial.ops.erase(place);
    if (kind == 1) trial.ops.insert(place, victim);
    if (kind == 2) {  // far enough that it is this record which was moved, and not the others past it
      trial.ops.erase(place);
      const size_t to = index < 250 ? index + 3 + random.Below(200) : index - 3 - random.Below(200);
      trial.ops.insert(trial.ops.begin() + static_cast<int64_t>(to), victim);
    }
    if (kind == 3) {
      Op& aged = trial.ops[index];
      const int64_t by = 1 + static_cast<int64_t>(random.Below(kSecond));
      aged.intended_ns -= by;
      if (aged.outcome != Outcome::kDropped) aged.sent_ns -= by, aged.done_ns -= by;
    }
    const InvariantResult result = Accounted(trial);
    ASSERT_EQ(result.state, State::kFail) << "round " << round;
    const std::string name = Concat("main key ", victim.key, ", intended at ", Place(trial, victim.intended_ns));
    ASSERT_THAT(result.offenders, Contains(HasSubstr(name))) << "round " << round << ", kind " << kind;
    ASSERT_LE(result.broken, 3u) << "round " << round;
  }
}

TEST(EveryArrivalAccountedTest, TimesMustBeInOrder) {
  Trial trial = MixedTrial();
  trial.ops[0].done_ns = trial.ops[0].sent_ns - 1;
  EXPECT_THAT(Accounted(trial).offenders, Contains(HasSubstr("done before it was sent")));
  trial = MixedTrial();
  trial.ops[2].sent_ns -= 2 * kMs;
  EXPECT_THAT(Accounted(trial).offenders, Contains(HasSubstr("sent before its time")));
  trial = MixedTrial();
  trial.ops[0].stream = 9;
  EXPECT_THAT(Accounted(trial).offenders, Contains(HasSubstr("of a stream that does not exist")));
  trial = MixedTrial();
  trial.ops[3].answer = Answer::kAdmitted;  // unknown
  EXPECT_THAT(Accounted(trial).offenders, Contains(HasSubstr("has an answer without")));
}

TEST(EveryArrivalAccountedTest, TheServicesOwnCountMustAgree) {
  Trial trial = MixedTrial();
  double answered = 0, sent = 0;
  for (const Op& op : trial.ops) {
    answered += op.outcome == Outcome::kOk ? 1 : 0;
    sent += op.outcome == Outcome::kDropped ? 0 : 1;
  }
  const auto counted = [&](double calls) {
    trial.series = {{"ratelimit", "rpc_server_calls_total", {{"code", "OK"}}, {{-1, 5}, {16, 5 + calls}}}};
    return Accounted(trial).state;
  };
  EXPECT_EQ(counted(answered), State::kPass);
  EXPECT_THAT(Accounted(trial).measured, Not(HasSubstr("not compared")));
  EXPECT_EQ(counted(sent), State::kPass);  // those that were given up may have been answered
  EXPECT_EQ(counted(sent + 1), State::kFail);
  EXPECT_EQ(counted(answered - 16), State::kPass);
  EXPECT_EQ(counted(answered - 17), State::kFail);
}

TEST(EveryArrivalAccountedTest, SaysWhyTheServicesCountWasNotCompared) {
  Trial trial = MixedTrial();
  const auto measured = [&](const Series& series) {
    trial.series = {series};
    const InvariantResult result = Accounted(trial);
    EXPECT_EQ(result.state, State::kPass) << "no evidence, and no violation";
    return result.measured;
  };
  const std::string name = "rpc_server_calls_total";
  EXPECT_THAT(measured({"ratelimit", name, {{"code", "OK"}}, {{-1, 5}, {2, 20}}}),
              HasSubstr("the service's count was not compared: ratelimit was not read after the load"));
  EXPECT_THAT(measured({"ratelimit", name, {{"code", "OK"}}, {{-1, 500}, {16, 20}}}), HasSubstr("count anew"));
  EXPECT_THAT(measured({"redis", name, {}, {{-1, 500}, {16, 520}}}), HasSubstr("ratelimit reported no rpc_server"));
  trial.streams[0].target = "ratelimit.http";
  EXPECT_THAT(measured({"ratelimit", name, {}, {{-1, 0}, {16, 5}}}), HasSubstr("ratelimit.http has no counter"));
}

TEST(EveryArrivalAccountedTest, ShowsAtMostTwentyAndCountsAll) {
  Trial trial = MixedTrial();
  trial.ops.resize(100);
  const InvariantResult result = Accounted(trial);
  EXPECT_EQ(result.offenders.size(), kMaxOffenders);
  EXPECT_EQ(result.broken, 400u);
}

TEST(LimitHoldsTest, PassesFailsAndNeedsEvidence) {
  Trial trial = EmptyTrial("a", 2);
  trial.ops = {At(6 * kSecond, kMs, Answer::kAdmitted, 1), At(6500 * kMs, kMs, Answer::kAdmitted, 1)};
  const std::string rule = "limit-holds{limit=1, window=1s}";
  const InvariantResult broken = Check(trial, rule);
  EXPECT_EQ(broken.state, State::kFail);
  EXPECT_THAT(broken.offenders,
              Contains(HasSubstr("main key 1: 2 admitted within 1s from 6.000000 s (pause+1.000 s)")));
  EXPECT_EQ(Check(trial, "limit-holds{limit=1, window=1s, factor=2}").state, State::kPass);
  EXPECT_EQ(Check(trial, "limit-holds{limit=1, window=1s, phase=steady}").state, State::kInconclusive);
  trial.ops[1].answer = Answer::kLimited;
  EXPECT_EQ(Check(trial, rule).state, State::kPass);
}

}  // namespace
}  // namespace lab::bench
