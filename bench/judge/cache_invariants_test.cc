#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "bench/judge/judge.h"
#include "bench/judge/testing/cache_trials.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

// What breaks a promise of a cache is named, and what does not is let pass.
namespace lab::bench {
namespace {

using testing::CacheTrial;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

Finding FindingOf(const std::string& rule, Trial trial) {
  Lab lab = testing::CacheLab();
  lab.expect.clear();
  lab.invariants = {rule};
  return Judge(lab, testing::RunOf({std::move(trial)})).findings.at(0);
}

TEST(NeverStaleTest, NamesTheReadAndWhatItMissed) {
  Trial trial = CacheTrial();
  Op& victim = trial.ops[7'777];
  ASSERT_EQ(victim.ask, Ask::kRead);
  victim.version -= 1;
  const Finding finding = FindingOf("never-stale{bound=1ms}", trial);
  EXPECT_EQ(finding.state, State::kFail);
  ASSERT_THAT(finding.offenders, SizeIs(1));
  EXPECT_THAT(finding.offenders[0], HasSubstr("main key 7, intended at 7.777000 s"));
  EXPECT_THAT(finding.offenders[0], HasSubstr("had been acknowledged"));
}

// Each version that is made older by one, of reads that are not answered within the bound after the write, is found;
// made newer, or older within the bound, it is not.
TEST(NeverStaleTest, FindsExactlyTheReadsThatAreTooOld) {
  constexpr uint64_t kSeed = 97;
  Random random(kSeed);
  const Trial good = CacheTrial();
  EXPECT_EQ(FindingOf("never-stale{bound=50ms}", good).state, State::kPass);
  int found = 0;
  for (int round = 0; round < 200; ++round) {
    Trial trial = good;
    Op& victim = trial.ops[random.Below(trial.ops.size())];
    if (victim.ask != Ask::kRead || victim.version == 1) continue;
    int64_t written = 0;  // when the version that it should have was acknowledged
    for (const Op& op : good.ops) {
      if (op.ask == Ask::kWrite && op.key == victim.key && op.version == victim.version) written = op.done_ns;
    }
    victim.version -= 1;
    const bool too_old = victim.sent_ns - written > 50 * testing::kMs;
    const Finding finding = FindingOf("never-stale{bound=50ms}", trial);
    EXPECT_EQ(finding.state, too_old ? State::kFail : State::kPass) << "seed " << kSeed << ", round " << round;
    found += too_old ? 1 : 0;
  }
  EXPECT_GT(found, 50);
}

TEST(NoStaleAtRestTest, NamesWhereItLies) {
  Trial trial = CacheTrial();
  trial.at_rest->reads[4].version -= 1;
  const Finding finding = FindingOf("no-stale-at-rest", trial);
  EXPECT_EQ(finding.state, State::kFail);
  EXPECT_THAT(
      finding.offenders,
      ElementsAre(HasSubstr("cacheapi-0, brand-1 window=24h: version 75 from L2, the database has version 76")));
}

TEST(NoStaleAtRestTest, EachPlaceCounts) {
  const Trial good = CacheTrial();
  EXPECT_EQ(FindingOf("no-stale-at-rest", good).state, State::kPass);
  for (size_t i = 0; i < good.at_rest->reads.size(); ++i) {
    if (good.at_rest->reads[i].place == "postgres") continue;
    Trial trial = good;
    trial.at_rest->reads[i].version -= 1;
    const Finding finding = FindingOf("no-stale-at-rest", trial);
    EXPECT_EQ(finding.state, State::kFail) << i;
    ASSERT_THAT(finding.offenders, SizeIs(1)) << i;
    EXPECT_THAT(finding.offenders[0], HasSubstr(good.at_rest->reads[i].place + ", " + good.at_rest->reads[i].key));
  }
}

TEST(NoStaleAtRestTest, WhatWasNeverCommittedIsFoundToo) {
  Trial trial = CacheTrial();
  trial.at_rest->reads[0].version += 1;
  const Finding finding = FindingOf("no-stale-at-rest", trial);
  EXPECT_EQ(finding.state, State::kFail);
  ASSERT_THAT(finding.offenders, SizeIs(1));
  EXPECT_THAT(finding.offenders[0],
              HasSubstr("version 77 from L2, which the database does not have: it has version 76"));
}

// Takes the entries of these keys out of Redis: the replicas answer as before, one by what the other has loaded.
Trial NotCached(std::initializer_list<int> keys) {
  Trial trial = CacheTrial();
  for (const int key : keys) {
    const std::string name = Concat("brand-", key, " window=24h");
    std::erase_if(trial.at_rest->reads,
                  [&](const RestRead& read) { return read.place == "redis" && read.key == name; });
  }
  return trial;
}

TEST(NoStaleAtRestTest, OnlyWhatWasCachedBeforeTheReadingCounts) {
  EXPECT_EQ(FindingOf("no-stale-at-rest", NotCached({0, 1, 2, 3, 4})).state, State::kPass) << "half of them are";
  const Finding finding = FindingOf("no-stale-at-rest", NotCached({0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(finding.state, State::kInconclusive);
  EXPECT_THAT(finding.why, HasSubstr("only 4 of 10 keys were cached before"));
  const Finding none = FindingOf("no-stale-at-rest", NotCached({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(none.state, State::kInconclusive);
}

TEST(NoStaleAtRestTest, OneProcessThatHasItIsEnough) {
  Trial trial = NotCached({0, 1, 2, 3, 4, 5});
  for (RestRead& read : trial.at_rest->reads) {
    if (read.place == "cacheapi-1" && read.key == "brand-5 window=24h") read.how = Answer::kHitLocal;
  }
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kPass);
}

TEST(NoStaleAtRestTest, WhatAnotherTenantHasLoadedIsNotCachedBefore) {
  Trial trial = NotCached({0, 1, 2, 3, 4, 5});
  std::vector<RestRead> again;
  for (RestRead read : trial.at_rest->reads) {
    if (read.place != "cacheapi-1") continue;
    read.key += " tenant=a";
    read.how = Answer::kHitLocal;
    again.push_back(read);
  }
  trial.at_rest->reads.insert(trial.at_rest->reads.end(), again.begin(), again.end());
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kInconclusive);
}

Trial WithDatabaseAt(uint64_t version) {
  Trial trial = CacheTrial();
  for (RestRead& read : trial.at_rest->reads) {
    if (read.key == "brand-2" || read.key == "brand-2 window=24h") read.there = read.version = version;
  }
  return trial;
}

TEST(NoStaleAtRestTest, AnAcknowledgedWriteIsInTheDatabase) {
  const Finding finding = FindingOf("no-stale-at-rest", WithDatabaseAt(75));
  EXPECT_EQ(finding.state, State::kFail);
  ASSERT_THAT(finding.offenders, SizeIs(1));
  EXPECT_THAT(
      finding.offenders[0],
      HasSubstr("brand-2: version 76 is there at least by what was acknowledged, the database has only version 75"));
}

TEST(NoStaleAtRestTest, ABrandThatIsAgainAsItBeganHasLostItsWrites) {
  const Finding finding = FindingOf("no-stale-at-rest", WithDatabaseAt(1));
  EXPECT_EQ(finding.state, State::kFail);
  ASSERT_THAT(finding.offenders, SizeIs(1));
  EXPECT_THAT(finding.offenders[0], HasSubstr("the database has only version 1"));
}

TEST(NoStaleAtRestTest, AQueuedWriteIsInTheDatabaseAtRest) {
  Trial trial = CacheTrial();
  for (Op& op : trial.ops) {
    if (op.ask != Ask::kWrite || op.key != 2) continue;
    op.answer = Answer::kQueued;
    op.version = 0;
  }
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kPass);
  for (RestRead& read : trial.at_rest->reads) {
    if (read.key == "brand-2" || read.key == "brand-2 window=24h") read.there = read.version = 75;
  }
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kFail) << "of 75 that were acknowledged one is missing";
}

TEST(NoStaleAtRestTest, WhatWasNotReadIsNoEvidence) {
  Trial trial = CacheTrial();
  trial.at_rest->why = "not all could be read within 5 s";
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kInconclusive);
  trial = CacheTrial();
  trial.at_rest->asked -= 1;
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kInconclusive) << "a sample is none";
  trial = CacheTrial();
  trial.at_rest->reads.clear();
  EXPECT_EQ(FindingOf("no-stale-at-rest", trial).state, State::kInconclusive);
  trial = CacheTrial();
  trial.at_rest->written = 0;
  const Finding finding = FindingOf("no-stale-at-rest", trial);
  EXPECT_EQ(finding.state, State::kInconclusive);
  EXPECT_THAT(finding.offenders, IsEmpty());
}

}  // namespace
}  // namespace lab::bench
