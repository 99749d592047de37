#include "bench/judge/staleness_oracle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>

#include "bench/judge/share_bound.h"
#include "services/runtime/base/random.h"

namespace lab::bench {
namespace {

using testing::HasSubstr;

Staleness Judge(std::vector<CacheCommit> commits, std::vector<CacheRead> reads) {
  return StalenessOf({{"k", std::move(commits), std::move(reads)}});
}

TEST(StalenessTest, AReadThatOverlapsTheCommitMayBringEither) {
  const std::vector<CacheCommit> commits = {{1, 0, 10}, {2, 100, 120}};
  const Staleness result = Judge(commits, {{90, 110, 1}, {90, 110, 2}, {105, 200, 1}, {120, 130, 1}, {121, 130, 2}});
  EXPECT_EQ(result.reads, 5u);
  EXPECT_EQ(result.stale.count, 0u);
  EXPECT_EQ(result.premature.count, 0u);
  EXPECT_EQ(result.age_max_s, 0);
}

TEST(StalenessTest, SaysNoToAReadSentAfterTheAcknowledgement) {
  const Staleness result = Judge({{1, 0, 10}, {2, 100, 120}}, {{121, 122, 1}, {121, 122, 2}});
  EXPECT_EQ(result.stale.count, 1u);
  EXPECT_EQ(result.stale_share(), 0.5);
  ASSERT_TRUE(result.stale.first.has_value());
  EXPECT_EQ(result.stale.first->key, "k");
  EXPECT_EQ(result.stale.first->read, 0u);
  EXPECT_EQ(result.stale.first->version, 1u);
  EXPECT_EQ(result.stale.first->expected, 2u);
  EXPECT_EQ(result.stale.first->since, 120);
  EXPECT_DOUBLE_EQ(result.age_max_s, 1e-9);
}

TEST(StalenessTest, AnAnswerThatThereIsNoneIsTheVersionBeforeTheFirst) {
  const Staleness result = Judge({{5, 100, 120}}, {{50, 60, 0}, {130, 140, 0}});
  EXPECT_EQ(result.stale.count, 1u);
  EXPECT_EQ(result.stale.first->read, 1u);
}

TEST(StalenessTest, AgeCountsFromTheFirstCommitThatWasMissed) {
  // Version 3 was acknowledged before version 2: then 2 was there too.
  const Staleness result = Judge({{1, 0, 10}, {2, 100, 900}, {3, 200, 300}, {4, 1000, 1100}}, {{2'000, 2'100, 1}});
  EXPECT_DOUBLE_EQ(result.age_max_s, 1'700e-9);
  EXPECT_EQ(result.stale.first->expected, 3u);
}

TEST(StalenessTest, TheP99IsOverAllReadsAndNeedsEnough) {
  std::vector<CacheRead> reads(299, {500, 510, 2});
  EXPECT_FALSE(Judge({{2, 0, 100}}, reads).age_p99_s.has_value());
  reads.push_back({500, 510, 1});  // one in 300 is stale
  EXPECT_EQ(Judge({{2, 0, 100}}, reads).age_p99_s, 0.0);
  for (int i = 0; i < 5; ++i) reads.push_back({600 + i, 610 + i, 1});
  const Staleness result = Judge({{2, 0, 100}}, reads);
  EXPECT_EQ(result.stale.count, 6u);
  EXPECT_NEAR(result.age_p99_s.value(), 501e-9, 1e-15) << "rank 302 of 305: 400, 500, 501 … 504 are the last six";
}

TEST(StalenessTest, ReadsThatAreNotJudgedAreNotCounted) {
  CacheRead outside{130, 140, 1};
  outside.judged = false;
  const Staleness result = Judge({{2, 0, 100}}, {outside});
  EXPECT_EQ(result.reads, 0u);
  EXPECT_EQ(result.stale.count, 0u);
}

TEST(StalenessTest, ReadYourWritesIsAboutOnesOwn) {
  const std::vector<CacheCommit> commits = {{1, 0, 10, 7}, {2, 100, 120, 8}};
  EXPECT_EQ(Judge(commits, {{200, 210, 1, 7}}).read_your_writes.count, 0u) << "2 was written by another";
  EXPECT_EQ(Judge(commits, {{110, 210, 1, 8}}).read_your_writes.count, 0u) << "sent before it was told";
  EXPECT_EQ(Judge(commits, {{200, 210, 1}}).read_your_writes.count, 0u) << "of no session";
  const Staleness no = Judge(commits, {{200, 210, 1, 8}});
  EXPECT_EQ(no.read_your_writes.count, 1u);
  EXPECT_EQ(no.read_your_writes.first->expected, 2u);
  EXPECT_EQ(no.read_your_writes.first->since, 120);
}

TEST(StalenessTest, MonotonicReadsNeverGoBack) {
  const std::vector<CacheCommit> commits = {{1, 0, 10}, {2, 100, 5'000}};
  EXPECT_EQ(Judge(commits, {{110, 120, 2, 7}, {130, 140, 1, 8}}).monotonic_reads.count, 0u) << "another session";
  EXPECT_EQ(Judge(commits, {{110, 135, 2, 7}, {130, 140, 1, 7}}).monotonic_reads.count, 0u) << "at the same time";
  CacheRead before{110, 120, 2, 7};
  before.judged = false;
  const Staleness no = Judge(commits, {{130, 140, 1, 7}, before});
  EXPECT_EQ(no.monotonic_reads.count, 1u);
  EXPECT_EQ(no.monotonic_reads.first->expected, 2u);
  EXPECT_EQ(no.stale.count, 0u) << "nobody knows that 2 had been committed";
}

TEST(StalenessTest, SaysNoToAVersionBeforeItsCommitBegan) {
  const std::vector<CacheCommit> commits = {{1, 0, 10}, {2, 100, 120}};
  EXPECT_EQ(Judge(commits, {{80, 100, 2}}).premature.count, 0u);
  EXPECT_EQ(Judge(commits, {{80, 99, 2}}).premature.count, 1u);
  EXPECT_EQ(Judge(commits, {{80, 99, 9}}).premature.count, 0u) << "of a version that it knows nothing of";
}

TEST(StalenessTest, OfARecordThatCannotBeItSaysWhatIsWrong) {
  const auto wrong = [](std::vector<CacheCommit> commits, std::vector<CacheRead> reads) {
    const Staleness result = Judge(std::move(commits), std::move(reads));
    EXPECT_EQ(result.reads, 0u);
    return result.unsound.size() == 1 ? result.unsound[0] : "";
  };
  EXPECT_THAT(wrong({{1, 10, 9}}, {}), HasSubstr("k: version 1 ends"));
  EXPECT_THAT(wrong({}, {{10, 9, 3}}), HasSubstr("read of version 3"));
  EXPECT_THAT(wrong({{1, 0, 9}, {1, 20, 29}}, {{50, 60, 0}}), HasSubstr("twice"));
  EXPECT_THAT(wrong({{2, 0, 9}, {1, 10, 19}}, {{50, 60, 0}}), HasSubstr("version 2 was there before"));
  EXPECT_EQ(WhatIsWrong({"k", {{2, 0, 10}, {1, 10, 19}}, {{50, 60, 1}}}), "") << "touching intervals may be in order";
}

TEST(InconsistentAfterTest, CountsWritesThatSomeReaderMissed) {
  // Three writes; after 100: the first two were seen, the third not.
  const std::vector<CacheHistory> histories = {
      {"a", {{1, 0, 10}, {2, 1'000, 1'010}}, {{115, 116, 1}, {1'115, 1'116, 2}}},
      {"b", {{4, 0, 10}}, {{50, 51, 3}, {111, 112, 3}, {111, 112, 4}}},
      {"c", {{9, 0, 10}}, {{5'000, 5'001, 9}}},  // seen much later: says nothing of 100
      {"d", {{9, 0, 10}}, {{110, 111, 8}}},      // no later than 100
  };
  const InconsistentAfter result = InconsistentAfterT(histories, 100, 50);
  EXPECT_EQ(result.probed, 3u);
  EXPECT_EQ(result.inconsistent, 1u);
  EXPECT_DOUBLE_EQ(result.share, 1.0 / 3);
  EXPECT_DOUBLE_EQ(result.at_most, ShareAtMost(1, 3));
  ASSERT_TRUE(result.first.has_value());
  EXPECT_EQ(result.first->key, "b");
  EXPECT_EQ(result.first->read, 1u);
  EXPECT_EQ(result.first->expected, 4u);
}

TEST(InconsistentAfterTest, OneThatIsNeverSeenIsInconsistentHoweverLate) {
  const std::vector<CacheHistory> histories = {{"k", {{2, 0, 10}}, {{1'000'000, 1'000'001, 1}}}};
  EXPECT_EQ(InconsistentAfterT(histories, 100, 50).inconsistent, 1u);
}

TEST(InconsistentAfterTest, NoWritesProveNothing) {
  const InconsistentAfter none = InconsistentAfterT({}, 100, 50);
  EXPECT_EQ(none.probed, 0u);
  EXPECT_EQ(none.at_most, 1);
  // 0 of 600 writes: at most 1 in 200.
  std::vector<CacheHistory> histories;
  for (int i = 0; i < 600; ++i) histories.push_back({"k", {{2, 0, 10}}, {{120, 130, 2}}});
  const InconsistentAfter many = InconsistentAfterT(histories, 100, 50);
  EXPECT_EQ(many.inconsistent, 0u);
  EXPECT_NEAR(many.at_most, 3.0 / 600, 1e-4);
}

// A register with one true order: what is read in that order, wherever in its interval, must never be called stale or
// out of order; and what the definitions, written out in full, call an offence must be counted as one.
class RandomHistories : public testing::Test {
 protected:
  CacheHistory Make(double broken) {
    CacheHistory history{"k", {}, {}};
    std::vector<int64_t> visible = {0};  // when each version became visible
    int64_t last = 0;
    for (uint64_t version = 1; version <= 1 + random_.Below(8); ++version) {
      last += 1 + static_cast<int64_t>(random_.Below(60));
      visible.push_back(last);
      const auto session = static_cast<uint32_t>(random_.Below(3));
      history.commits.push_back({version, last - static_cast<int64_t>(random_.Below(80)),
                                 last + static_cast<int64_t>(random_.Below(80)), session});
    }
    // Each session reads one after the other.
    for (uint32_t session = 0; session < 3; ++session) {
      int64_t now = 0;
      for (int i = 0; i < 12; ++i) {
        const int64_t sent = now + 1 + static_cast<int64_t>(random_.Below(30));
        const int64_t decided = sent + static_cast<int64_t>(random_.Below(30));
        now = decided + static_cast<int64_t>(random_.Below(30));
        uint64_t version = 0;
        while (version + 1 < visible.size() && visible[version + 1] <= decided) ++version;
        if (random_.Uniform() < broken) version = random_.Below(visible.size());
        history.reads.push_back({sent, now, version, session});
      }
    }
    std::shuffle(history.commits.begin(), history.commits.end(), generator_);
    return history;
  }
  Random random_{20261122};
  std::mt19937 generator_{7};
};

TEST_F(RandomHistories, ACacheThatIsRightIsNeverAccused) {
  for (int i = 0; i < 3'000; ++i) {
    const CacheHistory history = Make(0);
    ASSERT_EQ(WhatIsWrong(history), "");
    const Staleness result = StalenessOf({history});
    ASSERT_EQ(result.stale.count + result.read_your_writes.count + result.monotonic_reads.count, 0u) << i;
    ASSERT_EQ(result.premature.count, 0u) << i;
    ASSERT_EQ(InconsistentAfterT({history}, 0, 1'000).inconsistent, 0u) << i;
  }
}

TEST_F(RandomHistories, OffencesAreThoseOfTheDefinitions) {
  uint64_t offences = 0;
  for (int i = 0; i < 2'000; ++i) {
    const CacheHistory history = Make(0.3);
    Staleness wanted;
    uint64_t probed = 0, inconsistent = 0;
    int64_t oldest = 0;
    for (const CacheRead& read : history.reads) {
      bool stale = false, own = false, back = false, early = false;
      int64_t since = read.sent;
      for (const CacheCommit& commit : history.commits) {
        const bool missed = commit.version > read.version && commit.end < read.sent;
        stale |= missed;
        if (missed) since = std::min(since, commit.end);
        own |= missed && commit.session == read.session;
        early |= commit.version == read.version && read.answered < commit.begin;
      }
      for (const CacheRead& other : history.reads) {
        back |= other.session == read.session && other.answered < read.sent && other.version > read.version;
      }
      wanted.stale.count += stale ? 1 : 0;
      wanted.read_your_writes.count += own ? 1 : 0;
      wanted.monotonic_reads.count += back ? 1 : 0;
      wanted.premature.count += early ? 1 : 0;
      oldest = std::max(oldest, read.sent - since);
    }
    for (const CacheCommit& commit : history.commits) {
      bool near = false, missed = false;
      for (const CacheRead& read : history.reads) {
        near |= read.sent > commit.end + 20 && read.sent <= commit.end + 60;
        missed |= read.sent > commit.end + 20 && read.version < commit.version;
      }
      probed += near || missed ? 1 : 0;
      inconsistent += missed ? 1 : 0;
    }
    const Staleness result = StalenessOf({history});
    ASSERT_EQ(result.stale.count, wanted.stale.count) << i;
    ASSERT_EQ(result.read_your_writes.count, wanted.read_your_writes.count) << i;
    ASSERT_EQ(result.monotonic_reads.count, wanted.monotonic_reads.count) << i;
    ASSERT_EQ(result.premature.count, wanted.premature.count) << i;
    ASSERT_DOUBLE_EQ(result.age_max_s, static_cast<double>(oldest) / 1e9) << i;
    const InconsistentAfter after = InconsistentAfterT({history}, 20, 40);
    ASSERT_EQ(after.probed, probed) << i;
    ASSERT_EQ(after.inconsistent, inconsistent) << i;
    offences += result.stale.count + result.read_your_writes.count + result.monotonic_reads.count;
  }
  EXPECT_GT(offences, 1'000u);
}

}  // namespace
}  // namespace lab::bench
