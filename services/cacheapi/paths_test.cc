#include "services/cacheapi/testing/paths_fixture.h"

namespace lab::cacheapi {
namespace {

TEST_F(PathsTest, AMissFillsAndAHitDoesNot) {
  Process& process = Start(LeasedReads(), Writes(WritePattern::kDeleteAfterCommit));
  const auto first = Read(process, "");
  Ended(first);
  EXPECT_EQ(Name(first->answer.via), "origin");
  ASSERT_TRUE(RunUntil([&] { return redis_server_->Command({"EXISTS", CacheKey("acme", kDefaultWindow)}) == "1"; }));
  const auto second = Read(process, "");
  Ended(second);
  EXPECT_EQ(Name(second->answer.via), "l2");
  EXPECT_EQ(second->answer.value.body, first->answer.value.body);
}

TEST_F(PathsTest, OneLoadForManyWhoAskAtOnce) {
  Reader::Options reads = LeasedReads();
  reads.single_flight = true;
  Process& process = Start(reads, {});
  std::vector<std::shared_ptr<Outcome>> all;
  for (int i = 0; i < 20; ++i) all.push_back(Read(process, ""));
  for (const auto& outcome : all) Ended(outcome);
  EXPECT_EQ(Name(all[0]->answer.via), "origin");
  for (size_t i = 1; i < all.size(); ++i) EXPECT_EQ(Name(all[i]->answer.via), "coalesced");
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"found\"}"), 1);
}

TEST_F(PathsTest, OneLoadForManyProcesses) {
  std::vector<std::shared_ptr<Outcome>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Read(Start(LeasedReads(), {}), ""));
  for (const auto& outcome : all) {
    Ended(outcome);
    EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
  }
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"found\"}"), 1);
}

TEST_F(PathsTest, WithoutALeaseEverybodyLoads) {
  std::vector<std::shared_ptr<Outcome>> all;
  for (int i = 0; i < 5; ++i) all.push_back(Read(Start(PlainReads(), {}), ""));
  for (const auto& outcome : all) Ended(outcome);
  EXPECT_EQ(Metric("cacheapi_origin_reads_total{outcome=\"found\"}"), 5);
}

TEST_F(PathsTest, ThisProcessReadsWhatItHasWritten) {
  Reader::Options reads;  // all of it: L1, L2, single flight, lease
  Process& process = Start(reads, Writes(WritePattern::kDeleteAfterCommit));
  for (uint64_t version = 1; version < 6; ++version) {
    EXPECT_EQ(VersionRead(process), version);
    EXPECT_EQ(VersionRead(process), version);
    const auto write = Write(process, "");
    Ended(write);
    ASSERT_TRUE(write->version.ok()) << write->version.status();
  }
}

TEST_F(PathsTest, WithoutRedisTheDatabaseAnswers) {
  Process& process = Start(Reader::Options{}, Writes(WritePattern::kDeleteAfterCommit));
  redis_server_->Pause();
  const auto outcome = Read(process, "");
  ASSERT_TRUE(RunUntil([&] { return outcome->ended; }));
  EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
  EXPECT_EQ(Name(outcome->answer.via), "origin");
  redis_server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return redis_->breaker_state() == async::Breaker::State::kClosed; }));
}

// Race 1, fill against delete: R misses, reads v1; W commits v2, deletes; R stores v1.
class FillAgainstDeleteTest : public PathsTest {
 protected:
  uint64_t AtRest(const Reader::Options& reads, WritePattern pattern) {
    Process& process = Start(reads, Writes(pattern));
    const auto reader = Read(process, "R");
    Go("R", Step::kGet);
    Go("R", Step::kSelect);
    EXPECT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
    const auto writer = Write(process, "W");
    Go("W", Step::kCommit);
    Go("W", Step::kDelete);
    Ended(writer);
    const double before = Stores();
    Go("R", Step::kSet);
    EXPECT_TRUE(RunUntil([&] { return Stores() > before; }));
    EXPECT_EQ(VersionThere(), 2u);
    return VersionRead(process);
  }
};

TEST_F(FillAgainstDeleteTest, PlainIsStale) { EXPECT_EQ(AtRest(PlainReads(), WritePattern::kDeleteAfterCommit), 1u); }
TEST_F(FillAgainstDeleteTest, ALeaseClosesIt) {
  EXPECT_EQ(AtRest(LeasedReads(), WritePattern::kDeleteAfterCommit), 2u);
}
TEST_F(FillAgainstDeleteTest, ATombstoneClosesItToo) {
  Reader::Options reads = PlainReads();
  reads.newer_only = true;
  EXPECT_EQ(AtRest(reads, WritePattern::kBury), 2u);
}

// Race 2: W deletes; R misses, reads v1, stores v1; W commits v2.
TEST_F(PathsTest, DeleteBeforeUpdateIsStaleEvenWithALease) {
  for (const Reader::Options& reads : {PlainReads(), LeasedReads()}) {
    SetUp();
    Process& process = Start(reads, Writes(WritePattern::kDeleteBefore));
    const auto writer = Write(process, "W");
    Go("W", Step::kDelete);
    ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kCommit; }));
    const double before = Stores();
    EXPECT_EQ(VersionRead(process), 1u);
    ASSERT_TRUE(RunUntil([&] { return Stores() > before; }));
    Go("W", Step::kCommit);
    Ended(writer);
    EXPECT_EQ(VersionThere(), 2u);
    EXPECT_EQ(VersionRead(process), 1u);
  }
}

// The same, with the delete inside the transaction: the others still see the old row.
TEST_F(PathsTest, DeleteInsideTheTransactionIsStaleToo) {
  Process& process = Start(LeasedReads(), Writes(WritePattern::kDeleteInTransaction));
  const auto writer = Write(process, "W");
  Go("W", Step::kWrite);
  Go("W", Step::kDelete);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kCommit; }));
  const double before = Stores();
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(RunUntil([&] { return Stores() > before; }));
  Go("W", Step::kCommit);
  Ended(writer);
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_EQ(VersionRead(process), 1u);
}

// Race 10: R1 loads v1; W commits v2 and deletes; R2 comes after the write and must not be given what R1 brings.
TEST_F(PathsTest, WhoComesAfterTheWriteIsNotGivenALoadFromBefore) {
  Reader::Options reads = LeasedReads();
  reads.single_flight = true;
  Process& process = Start(reads, Writes(WritePattern::kDeleteAfterCommit));
  const auto before = Read(process, "R1");
  Go("R1", Step::kGet);
  Go("R1", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R1") == Step::kLoad; }));
  const auto writer = Write(process, "");
  Ended(writer);
  ASSERT_TRUE(writer->version.ok());
  EXPECT_EQ(VersionRead(process), 2u);
  Go("R1", Step::kLoad);
  ASSERT_TRUE(RunUntil([&] { return before->ended; }));
  EXPECT_EQ(before->answer.value.version, 1u) << "it had asked before the write";
}

TEST_F(PathsTest, AWriteIsAcknowledgedThoughTheCacheIsAwayAndToldLater) {
  Process& process = Start(LeasedReads(), Writes(WritePattern::kDeleteAfterCommit));
  EXPECT_EQ(VersionRead(process), 1u);
  redis_server_->Pause();
  const auto writer = Write(process, "");
  ASSERT_TRUE(RunUntil([&] { return writer->ended; }));
  EXPECT_TRUE(writer->version.ok()) << writer->version.status();
  redis_server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return redis_server_->Command({"EXISTS", CacheKey("acme", kDefaultWindow)}) == "0"; }));
  ASSERT_TRUE(RunUntil([&] { return redis_->breaker_state() == async::Breaker::State::kClosed; }));
  EXPECT_EQ(VersionRead(process), 2u);
}

}  // namespace
}  // namespace lab::cacheapi
