// What is told of a brand without its version, as of one that was deleted.
#include <optional>

#include "services/cacheapi/model/version.h"
#include "services/cacheapi/testing/paths_fixture.h"

namespace lab::cacheapi {
namespace {

class VersionsUnknownTest : public PathsTest {
 protected:
  void Tell(Process& process, uint64_t version) {
    std::optional<absl::Status> told;
    process.writer.Apply("acme", version, "", [&](const absl::Status& status) { told = status; });
    ASSERT_TRUE(RunUntil([&] { return told.has_value(); }));
    EXPECT_TRUE(told->ok()) << *told;
  }
  bool IsFilled(Process& process) {
    const double before = Stores();
    VersionRead(process);
    EXPECT_TRUE(RunUntil([&] { return Stores() > before; }));
    const auto second = Read(process, "");
    EXPECT_TRUE(RunUntil([&] { return second->ended; }));
    return Name(second->answer.via) == "l2";
  }
};

TEST_F(VersionsUnknownTest, ABrandThatIsMadeAgainIsCachedAgain) {
  for (const WritePattern pattern :
       {WritePattern::kBury, WritePattern::kVersionedSet, WritePattern::kDeleteAfterCommit}) {
    SetUp();
    Reader::Options reads = PlainReads();
    reads.newer_only = pattern != WritePattern::kDeleteAfterCommit;
    Process& process = Start(reads, Writes(pattern));
    for (int i = 0; i < 3; ++i) Ended(Write(process, ""));
    EXPECT_EQ(VersionRead(process), 4u);
    Tell(process, kVersionUnknown);
    postgres_->Query("UPDATE brand_state SET version = 1 WHERE brand_id = 'acme'");
    EXPECT_TRUE(IsFilled(process));
    EXPECT_EQ(VersionRead(process), 1u);
  }
}

TEST_F(VersionsUnknownTest, AVersionIsForgottenToo) {
  VersionKeys versions(*shared_, VersionKeys::Options{.memo = std::chrono::seconds(5)}, metrics_);
  Reader::Modes modes;
  modes.versions = &versions;
  Process& process = Start(LeasedReads(), Writes(WritePattern::kDeleteAfterCommit), modes);
  EXPECT_EQ(VersionRead(process), 1u);
  ASSERT_TRUE(RunUntil([&] { return redis_server_->Command({"EXISTS", VersionKey("acme")}) == "1"; }));
  Ended(Write(process, ""));
  EXPECT_EQ(versions.LastSeen("acme", Clock::now()), 2u);
  Tell(process, kVersionUnknown);
  EXPECT_EQ(redis_server_->Command({"EXISTS", VersionKey("acme")}), "0");
  EXPECT_EQ(versions.LastSeen("acme", Clock::now()), std::nullopt);
  EXPECT_EQ(VersionRead(process), 2u);
}

// A change that is told behind a newer one, without leases: nothing older may be stored, also where the value is put.
TEST_F(VersionsUnknownTest, WhatIsAppliedIsNotFollowedByAnOlderFill) {
  for (const WritePattern pattern : {WritePattern::kBury, WritePattern::kVersionedSet}) {
    SetUp();
    Reader::Options reads = PlainReads();
    reads.newer_only = true;
    Writer::Options writes = Writes(pattern);
    writes.tells_cache = false;
    Process& process = Start(reads, writes);
    const auto reader = Read(process, "R");
    Go("R", Step::kGet);
    Go("R", Step::kSelect);
    ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
    Ended(Write(process, ""));
    Tell(process, 2);
    const double before = Stores();
    Go("R", Step::kSet);
    ASSERT_TRUE(RunUntil([&] { return Stores() > before; }));
    EXPECT_EQ(VersionRead(process), 2u);
  }
}

}  // namespace
}  // namespace lab::cacheapi
