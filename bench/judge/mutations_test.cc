#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "bench/judge/testing/cache_trials.h"
#include "bench/judge/testing/recorded.h"
#include "bench/judge/testing/trials.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

// One record of a good, recorded history is lost, doubled, moved or aged: whatever the invariant says of the system, it
// must not say that all is well, and it must name that record.
namespace lab::bench {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr int kRounds = 1'000;

enum class Mutation { kDropped, kDuplicated, kReordered, kAged };

// Far enough that it is this record which was moved, and not the few that it was moved past: at least three of another
// time lie between its old place and the new one.
size_t AnotherPlace(const std::vector<Op>& ops, size_t index, Random& random) {
  const auto others_between = [&](size_t to) {
    const auto [low, high] = std::minmax(index, to);
    return std::count_if(ops.begin() + static_cast<int64_t>(low), ops.begin() + static_cast<int64_t>(high) + 1,
                         [&](const Op& op) { return op.intended_ns != ops[index].intended_ns; });
  };
  while (true) {
    const size_t to = random.Below(ops.size());
    if (others_between(to) >= 3) return to;
  }
}

void Mutate(Mutation mutation, size_t index, Random& random, Trial& trial) {
  const Op victim = trial.ops[index];
  const auto place = trial.ops.begin() + static_cast<int64_t>(index);
  if (mutation == Mutation::kDropped) trial.ops.erase(place);
  if (mutation == Mutation::kDuplicated) trial.ops.insert(place, victim);
  if (mutation == Mutation::kReordered) {
    const size_t to = AnotherPlace(trial.ops, index, random);
    trial.ops.erase(place);
    trial.ops.insert(trial.ops.begin() + static_cast<int64_t>(to), victim);
  }
  if (mutation == Mutation::kAged) {
    Op& aged = *place;
    const auto by = static_cast<int64_t>(1 + random.Below(2'000'000'000));
    aged.intended_ns -= by;
    aged.sent_ns -= by;
    aged.done_ns -= by;
  }
}

// How an invariant is asked about a history that it holds of.
std::string RuleOf(const std::string& invariant) {
  if (invariant == "limit-holds") return "limit-holds{limit=50, window=2s, stream=sliding_log}";
  if (invariant == "never-stale") return "never-stale{bound=100ms}";
  return invariant;
}

bool IsOfCache(const std::string& invariant) { return invariant == "never-stale" || invariant == "no-stale-at-rest"; }
// What rests on operations; invariants of explored schedules have their own (races_test.cc).
std::vector<std::string> OfOperations() {
  std::vector<std::string> names = InvariantNames();
  std::erase_if(names, [](const std::string& name) { return name.find("race") != std::string::npos; });
  return names;
}

class MutationTest : public ::testing::TestWithParam<std::string> {};

TEST_P(MutationTest, EveryMutatedRecordIsNamed) {
  constexpr uint64_t kSeed = 4711;
  std::cout << "seed " << kSeed << "\n";
  Random random(kSeed);
  const std::string rule = RuleOf(GetParam());
  const bool one_stream = rule.find("stream=") != std::string::npos;
  Lab lab = IsOfCache(GetParam()) ? testing::CacheLab() : testing::RecordedLab();
  lab.invariants = {rule};
  lab.expect.clear();
  const Trial good = IsOfCache(GetParam()) ? testing::CacheTrial() : testing::RecordedLimiter();
  ASSERT_EQ(Judge(lab, testing::RunOf({good})).state, State::kPass);
  for (int round = 0; round < kRounds; ++round) {
    size_t index = 0;
    do {
      index = random.Below(good.ops.size());
    } while (one_stream && good.streams[good.ops[index].stream].name != "sliding_log");
    Trial trial = good;
    Mutate(static_cast<Mutation>(round % 4), index, random, trial);
    const Verdict verdict = Judge(lab, testing::RunOf({std::move(trial)}));
    ASSERT_NE(verdict.state, State::kPass) << "round " << round << ", record " << index;
    const Finding& finding = verdict.findings.at(0);
    ASSERT_THAT(finding.offenders, Contains(HasSubstr(RecordName(good, good.ops[index]))))
        << "round " << round << ", record " << index;
    ASSERT_LE(finding.offenders.size(), 3u) << "names others besides, in round " << round;
  }
}

std::string TestName(const ::testing::TestParamInfo<std::string>& name) {
  std::string text = name.param;
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

INSTANTIATE_TEST_SUITE_P(EveryInvariant, MutationTest, ::testing::ValuesIn(OfOperations()), &TestName);

}  // namespace
}  // namespace lab::bench
