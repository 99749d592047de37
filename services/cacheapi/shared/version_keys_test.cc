#include "services/cacheapi/shared/flush.h"
#include "services/cacheapi/testing/modes_fixture.h"

namespace lab::cacheapi {
namespace {

class VersionKeysTest : public ModesTest {
 protected:
  VersionKeys& Versions(std::optional<VersionKeys>& place, Nanos memo = Nanos(0)) {
    return place.emplace(*shared_, VersionKeys::Options{.memo = memo}, metrics_);
  }
  Process& Versioned(const Reader::Options& reads = LeasedReads(), Nanos memo = Nanos(0)) {
    return Start(reads, {}, {.versions = &Versions(versions_, memo)});
  }
  void Raise(uint64_t version) {
    bool done = false;
    versions_->Raise("acme", version, [&](const absl::Status& status) { done = status.ok(); });
    ASSERT_TRUE(RunUntil([&] { return done; }));
  }
  void Flush() {
    bool flushed = false;
    FlushEntries(*redis_, [&](const absl::Status& status) { flushed = status.ok(); });
    ASSERT_TRUE(RunUntil([&] { return flushed; }));
  }
  const std::string key_ = CacheKey("acme", kDefaultWindow);
};

TEST_F(VersionKeysTest, AnEntryStandsUnderItsVersion) {
  Process& process = Versioned();
  EXPECT_EQ(Via(Ask(process, "acme")), "origin");
  ASSERT_TRUE(Comes(VersionedKey(key_, 1)));
  ASSERT_TRUE(Comes(VersionKey("acme")));
  EXPECT_EQ(Via(Ask(process, "acme")), "l2");
  EXPECT_FALSE(InRedis(key_));
}

TEST_F(VersionKeysTest, AWriteRaisesTheVersionAndDeletesNothing) {
  Process& process = Versioned();
  for (uint64_t version = 1; version < 5; ++version) {
    EXPECT_EQ(VersionRead(process), version);
    ASSERT_TRUE(Comes(VersionedKey(key_, version)));
    const auto write = Write(process, "");
    Ended(write);
  }
  EXPECT_EQ(VersionRead(process), 5u);
  EXPECT_TRUE(InRedis(VersionedKey(key_, 1)));
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"found\"}"), 5);
}

// An Idempotency-Key that is sent again is answered with the version of then, which is no news of the brand.
TEST_F(VersionKeysTest, AWriteThatIsToldAgainTakesNobodyBack) {
  Process& process = Versioned(LeasedReads(), Millis(20));
  for (const uint64_t version : {2, 3}) {
    const auto write = Write(process, "");
    Ended(write);
    EXPECT_EQ(VersionRead(process), version);
    ASSERT_TRUE(Comes(VersionedKey(key_, version)));
  }
  RunFor(Millis(60));
  corrections_ = 0;
  const auto again = Write(process, "");
  Ended(again);
  EXPECT_EQ(VersionRead(process), 3u);
}

// Race 1 without a lease: what is stored late is stored under its own version, which nobody asks for any more.
TEST_F(VersionKeysTest, AFillAcrossAWriteIsStoredWhereNobodyLooks) {
  Process& process = Versioned(PlainReads());
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  redis_server_->Command({"DEL", VersionedKey(key_, 1)});
  const auto reader = Read(process, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  const auto writer = Write(process, "");
  Ended(writer);
  Go("R", Step::kSet);
  ASSERT_TRUE(Comes(VersionedKey(key_, 1)));
  EXPECT_EQ(VersionRead(process), 2u);
}

// Race 8: no version is there to compare with; the lease of the version key says that the reader is too late.
TEST_F(VersionKeysTest, AnEvictedVersionIsNotFilledByALateReader) {
  Process& process = Versioned(PlainReads());
  const auto reader = Read(process, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  const auto writer = Write(process, "");
  Ended(writer);
  EXPECT_FALSE(InRedis(VersionKey("acme")));
  Go("R", Step::kSet);
  ASSERT_TRUE(Comes(VersionedKey(key_, 1)));
  EXPECT_EQ(VersionRead(process), 2u);
}

// After a gap in the changes nobody knows which versions are right.
TEST_F(VersionKeysTest, AFlushTakesTheVersionsToo) {
  Process& process = Versioned();
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  postgres_->Query("UPDATE brand_state SET version = 2");
  EXPECT_EQ(VersionRead(process), 1u) << "nobody was told";
  Flush();
  EXPECT_FALSE(InRedis(VersionKey("acme")));
  EXPECT_EQ(VersionRead(process), 2u);
}

// A fill that had the lease of the version before the flush stores no version after it.
TEST_F(VersionKeysTest, AFlushTakesTheLeasesOfVersionsToo) {
  Process& process = Versioned(PlainReads());
  const auto reader = Read(process, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  EXPECT_TRUE(InRedis(LeaseKey(VersionKey("acme"))));
  postgres_->Query("UPDATE brand_state SET version = 2");
  Flush();
  EXPECT_FALSE(InRedis(LeaseKey(VersionKey("acme"))));
  Go("R", Step::kSet);
  ASSERT_TRUE(Comes(VersionedKey(key_, 1)));
  EXPECT_FALSE(InRedis(VersionKey("acme")));
  EXPECT_EQ(VersionRead(process), 2u);
}

// Races 3 and 16: raises that come late, twice, or in another order.
TEST_F(VersionKeysTest, NoRaiseLowersAVersion) {
  Process& process = Versioned();
  EXPECT_EQ(VersionRead(process), 1u);
  for (int i = 0; i < 2; ++i) Ended(Write(process, ""));
  EXPECT_EQ(VersionRead(process), 3u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  Raise(2);
  Raise(1);
  Raise(3);
  EXPECT_EQ(VersionRead(process), 3u);
}

// Race 8 again: with nothing there to compare with, a late raise must not bring back what it knows.
TEST_F(VersionKeysTest, ALateRaiseBringsNothingBack) {
  Process& process = Versioned();
  for (int i = 0; i < 2; ++i) Ended(Write(process, ""));
  EXPECT_FALSE(InRedis(VersionKey("acme")));
  Raise(2);
  EXPECT_FALSE(InRedis(VersionKey("acme")));
  EXPECT_EQ(VersionRead(process), 3u);
}

// Race 4, open: nobody tells. Whoever loads a newer version does.
TEST_F(VersionKeysTest, AWriteThatNobodyTellsOfStaysUnseenUntilSomebodyLoads) {
  Process& process = Versioned();
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(Comes(VersionedKey(key_, 1)));
  postgres_->Query("UPDATE brand_state SET version = 2");
  EXPECT_EQ(VersionRead(process), 1u);
  Ended(Asking(process, "acme", std::chrono::seconds(8), "", Window::kHour));
  bool seen = false;
  for (int i = 0; i < 200 && !seen; ++i) seen = VersionRead(process) == 2;
  EXPECT_TRUE(seen);
}

TEST_F(VersionKeysTest, TheMemoIsStaleForOthersWritesAndNeverForOnesOwn) {
  Process& process = Versioned(LeasedReads(), std::chrono::hours(1));
  Process& other = Start(LeasedReads(), {}, {.versions = &Versions(other_versions_)});
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  EXPECT_EQ(VersionRead(process), 1u);
  Ended(Write(other, ""));
  EXPECT_EQ(VersionRead(other), 2u);
  EXPECT_EQ(VersionRead(process), 1u) << "for as long as the memo lasts";
  Ended(Write(process, ""));
  EXPECT_EQ(VersionRead(process), 3u);
}

// L1 by version needs nobody to tell it anything.
TEST_F(VersionKeysTest, WhatAnotherProcessWroteIsSeenThroughL1AtOnce) {
  Reader::Options reads = LeasedReads();
  reads.local = true;
  Process& process = Versioned(reads);
  Process& other = Start(reads, {}, {.versions = &Versions(other_versions_)});
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(Comes(VersionKey("acme")));
  EXPECT_EQ(Via(Ask(process, "acme")), "l1");
  Ended(Write(other, ""));
  EXPECT_EQ(VersionRead(process), 2u);
}

// Race 12.
TEST_F(VersionKeysTest, ABrandThatIsMadeIsSeenAtOnce) {
  Process& process = Versioned();
  BrandCreator creator(*origin_, process.writer, nullptr, nullptr, metrics_);
  EXPECT_FALSE(Exists(Ask(process, "new")));
  ASSERT_TRUE(Comes(VersionKey("new")));
  EXPECT_EQ(Via(Ask(process, "new")), "l2");
  ASSERT_TRUE(Create(creator, "new").ok());
  EXPECT_TRUE(Exists(Ask(process, "new")));
}

TEST_F(VersionKeysTest, OneLoadForManyProcesses) {
  Versions(versions_);
  std::vector<std::shared_ptr<Outcome>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Read(Start(LeasedReads(), {}, {.versions = &*versions_}), ""));
  for (const auto& outcome : all) {
    Ended(outcome);
    EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
  }
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"found\"}"), 1);
}

TEST_F(VersionKeysTest, WithoutRedisTheDatabaseAnswers) {
  Process& process = Versioned();
  redis_->Close();
  const Answer answer = Ask(process, "acme");
  EXPECT_TRUE(answer.status.ok()) << answer.status;
  EXPECT_EQ(Via(answer), "origin");
}

}  // namespace
}  // namespace lab::cacheapi
