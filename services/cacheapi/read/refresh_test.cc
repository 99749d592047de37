// Reads of what is stale, or refreshed before its time: one load, and nobody waits for it. And when L1 may help.
#include <memory>
#include <vector>

#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class RefreshTest : public ModesTest {
 protected:
  // Fills single-handed or, with `lease`, as one of several processes; what is in L2 is stale from the first moment on.
  Process& Revalidating(bool single_flight, bool lease) {
    shared_.emplace(*redis_, *clock_, SharedCache::Options{.ttl = Millis(1), .stale = std::chrono::hours(1)}, metrics_,
                    7);
    Reader::Options reads = PlainReads();
    reads.single_flight = single_flight;
    reads.lease = lease;
    reads.stale_while_revalidate = true;
    Process& process = Start(reads, {});
    EXPECT_TRUE(Ask(process, "acme").status.ok());
    EXPECT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
    RunFor(Millis(5));
    return process;
  }
  // R has been given what is stale, and its load stands before the database.
  void HeldBeforeTheDatabase(Process& process) {
    const auto reader = Asking(process, "acme", std::chrono::seconds(8), "R");
    Go("R", Step::kGet);
    Ended(reader);
    EXPECT_EQ(Via(reader->answer), "stale");
    ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSelect; }));
  }
  double Loads() { return Metric("cacheapi_origin_reads_total{outcome=\"found\"}"); }
};

TEST_F(RefreshTest, WhileOneRevalidatesAllAreGivenWhatIsStaleAndNobodyElseLoads) {
  Process& process = Revalidating(true, false);
  HeldBeforeTheDatabase(process);
  std::vector<std::shared_ptr<Outcome>> others;
  for (int i = 0; i < 20; ++i) others.push_back(Asking(process, "acme"));
  for (const auto& other : others) {
    Ended(other);
    EXPECT_EQ(Via(other->answer), "stale");
    EXPECT_EQ(other->answer.value.version, 1u);
  }
  EXPECT_EQ(Loads(), 1) << "the first one";
  postgres_->Query("UPDATE brand_state SET version = 2");
  Go("R", Step::kSelect);
  Go("R", Step::kLoad);
  Go("R", Step::kSet);
  ASSERT_TRUE(RunUntil([&] { return Loads() == 2 && gate_.present().empty(); })) << "the one of R";
  EXPECT_EQ(Ask(process, "acme").value.version, 2u);
}

TEST_F(RefreshTest, WithALeaseTooOneLoads) {
  Process& process = Revalidating(true, true);
  HeldBeforeTheDatabase(process);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Via(Ask(process, "acme")), "stale");
  Process& other = Start(LeasedReads(), {});
  const auto waits = Asking(other, "acme");
  Go("R", Step::kSelect);
  Go("R", Step::kLoad);
  Go("R", Step::kSet);
  Ended(waits);
  EXPECT_TRUE(waits->answer.status.ok()) << waits->answer.status;
}

// A request after a write is not given what was stale before it.
TEST_F(RefreshTest, AWriteTakesBackWhatIsOffered) {
  Process& process = Revalidating(true, false);
  HeldBeforeTheDatabase(process);
  Ended(Write(process, ""));
  const Answer answer = Ask(process, "acme");
  EXPECT_EQ(answer.value.version, 2u);
  EXPECT_EQ(Via(answer), "origin");
}

// XFetch: what is refreshed before its time is fresh for all others.
TEST_F(RefreshTest, WhileOneRefreshesEarlyNobodyWaits) {
  origin_.emplace(*reads_, *writes_, Origin::Options{.delay = Millis(20)}, metrics_);
  shared_.emplace(*redis_, *clock_, SharedCache::Options{.ttl = std::chrono::hours(1)}, metrics_, 7);
  Reader::Options reads = PlainReads();
  reads.single_flight = reads.early = true;
  reads.beta = 1e7;  // nearly always
  Process& process = Start(reads, {});
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  ASSERT_TRUE(Comes(CacheKey("acme", kDefaultWindow)));
  for (int tries = 0; tries < 20 && !HeldAt("R"); ++tries) {
    const auto reader = Asking(process, "acme", std::chrono::seconds(8), "R");
    Go("R", Step::kGet);
    Ended(reader);
    RunFor(Millis(5));
  }
  Go("R", Step::kGet);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSelect; }));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Via(Ask(process, "acme")), "coalesced");
  EXPECT_EQ(Loads(), 1);
}

// L1 that follows L2, and has not been told of anything for too long.
class DistrustTest : public ModesTest {
 protected:
  Process& Following() {
    Reader::Options reads = LeasedReads();
    reads.local = reads.stale_if_error = true;
    reads.local_ttl = reads.local_stale = std::chrono::hours(1);
    Process& process = Start(reads, {});
    process.reader.FollowShared(true);
    process.reader.TrustLocalUntil(Clock::now() + std::chrono::hours(1));
    EXPECT_TRUE(Ask(process, "acme").status.ok());
    EXPECT_TRUE(RunUntil([&] { return process.local.entries() == 1; }));
    return process;
  }
};

TEST_F(DistrustTest, GivesNothingWhenTheDatabaseFails) {
  Process& process = Following();
  redis_->Close();
  reads_->Close();
  EXPECT_EQ(Via(Ask(process, "acme")), "l1");
  process.reader.TrustLocalUntil(Clock::now());
  EXPECT_FALSE(Ask(process, "acme").status.ok());
}

TEST_F(DistrustTest, GivesNothingAtTheDeadline) {
  Process& process = Following();
  process.reader.TrustLocalUntil(Clock::now());
  const auto held = Asking(process, "acme", Millis(50), "R");
  Ended(held);
  EXPECT_EQ(held->answer.status.code(), absl::StatusCode::kDeadlineExceeded) << Via(held->answer);
}

// Keys that name their version.
class VersionedLocalTest : public ModesTest {
 protected:
  Process& Versioned(VersionKeys::Options options, Nanos ttl) {
    versions_.emplace(*shared_, options, metrics_);
    Reader::Options reads = LeasedReads();
    reads.local = reads.stale_if_error = true;
    reads.local_ttl = ttl;
    reads.local_stale = std::chrono::hours(1);
    return Start(reads, {}, {.versions = &*versions_});
  }
};

// What is right for ever may be kept at once, whoever tells of changes in L2.
TEST_F(VersionedLocalTest, WhatWasLoadedIsKeptWhileL1FollowsL2) {
  Process& process = Versioned({}, std::chrono::hours(1));
  process.reader.FollowShared(true);
  process.reader.TrustLocalUntil(Clock::now() + std::chrono::hours(1));
  EXPECT_EQ(Via(Ask(process, "acme")), "origin");
  EXPECT_EQ(process.local.entries(), 1u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  EXPECT_EQ(Via(Ask(process, "acme")), "l1");
}

TEST_F(VersionedLocalTest, WithBothStoresAwayWhatIsStaleIsFoundByTheVersionSeenLast) {
  Process& process = Versioned({.keep = std::chrono::hours(1)}, Millis(1));
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  Ended(Write(process, ""));
  EXPECT_EQ(Ask(process, "acme").value.version, 2u);
  RunFor(Millis(5));
  redis_->Close();
  reads_->Close();
  const Answer answer = Ask(process, "acme");
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(Via(answer), "stale");
  EXPECT_EQ(answer.value.version, 2u) << "not the one from before the write";
  EXPECT_FALSE(Ask(process, "b1").status.ok()) << "of which nothing was kept";
}

TEST_F(VersionedLocalTest, AtTheDeadlineToo) {
  Process& process = Versioned({.keep = std::chrono::hours(1)}, Millis(1));
  EXPECT_TRUE(Ask(process, "acme").status.ok());
  RunFor(Millis(5));
  redis_->Close();
  const auto held = Asking(process, "acme", Millis(50), "R");
  Go("R", Step::kGet);
  Ended(held);
  EXPECT_TRUE(held->answer.status.ok()) << held->answer.status;
  EXPECT_EQ(Via(held->answer), "stale");
}

}  // namespace
}  // namespace lab::cacheapi
