#include <algorithm>

#include "services/cacheapi/testing/paths_fixture.h"

namespace lab::cacheapi {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Where actors are held, and what becomes of those who die there.
class GateTest : public PathsTest {
 protected:
  bool Present(const std::string& actor) {
    const std::vector<StepGate::Present> all = gate_.present();
    return std::any_of(all.begin(), all.end(), [&](const auto& one) { return one.actor == actor; });
  }
  // Lets the actor take all its steps, one after the other.
  std::vector<std::string> Steps(const std::string& actor) {
    std::vector<std::string> steps;
    while (steps.size() < 10) {
      EXPECT_TRUE(RunUntil([&] { return HeldAt(actor) || !Present(actor); }));
      if (!HeldAt(actor)) break;
      steps.emplace_back(Name(*HeldAt(actor)));
      gate_.Go(actor);
    }
    return steps;
  }
  std::vector<std::string> StepsOfRead(Process& process) {
    const auto outcome = Read(process, "R");
    std::vector<std::string> steps = Steps("R");
    Ended(outcome);
    EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
    return steps;
  }
  std::vector<std::string> StepsOfWrite(WritePattern pattern) {
    Writer::Options writes = Writes(pattern);
    writes.second_delete = Millis(1);
    Process& process = Start(LeasedReads(), writes);
    const auto outcome = Write(process, "W");
    std::vector<std::string> steps = Steps("W");
    Ended(outcome);
    EXPECT_TRUE(outcome->version.ok()) << outcome->version.status();
    return steps;
  }
};

TEST_F(GateTest, AReadStopsAtEachOfItsEffectsOnce) {
  Reader::Options newer = PlainReads(), alone = PlainReads();
  newer.newer_only = true;
  alone.shared = false;
  for (const Reader::Options& reads : {PlainReads(), LeasedReads(), newer}) {
    redis_server_->Command({"FLUSHALL"});
    Process& process = Start(reads, {});
    EXPECT_THAT(StepsOfRead(process), ElementsAre("get", "select", "set"));
    EXPECT_THAT(StepsOfRead(process), ElementsAre("get")) << "a hit";
  }
  EXPECT_THAT(StepsOfRead(Start(alone, {})), ElementsAre("select"));
}

TEST_F(GateTest, AHitInTheProcessHasNoSteps) {
  Process& process = Start(Reader::Options{}, {});
  EXPECT_THAT(StepsOfRead(process), ElementsAre("get", "select", "load", "set"));
  EXPECT_THAT(StepsOfRead(process), IsEmpty());
}

TEST_F(GateTest, AWriteStopsAtEachOfItsEffectsOnce) {
  EXPECT_THAT(StepsOfWrite(WritePattern::kDeleteAfterCommit), ElementsAre("commit", "delete"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kDeleteBefore), ElementsAre("delete", "commit"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kDeleteInTransaction), ElementsAre("write", "delete", "commit"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kDoubleDelete), ElementsAre("delete", "commit", "delete"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kSetAfterCommit), ElementsAre("commit", "select", "set"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kVersionedSet), ElementsAre("commit", "select", "set"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kWriteThrough), ElementsAre("write", "set", "commit"));
  EXPECT_THAT(StepsOfWrite(WritePattern::kBury), ElementsAre("commit", "delete"));
}

TEST_F(GateTest, WhatIsSetIsWhatWasReadBefore) {
  Process& process = Start(LeasedReads(), Writes(WritePattern::kSetAfterCommit));
  const auto slow = Write(process, "W1");
  Go("W1", Step::kCommit);
  Go("W1", Step::kSelect);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W1") == Step::kSet; }));
  const auto fast = Write(process, "W2");
  EXPECT_THAT(Steps("W2"), ElementsAre("commit", "select", "set"));
  EXPECT_THAT(Steps("W1"), ElementsAre("set"));
  Ended(slow);
  Ended(fast);
  EXPECT_EQ(VersionRead(process), 2u);
  EXPECT_EQ(VersionThere(), 3u);
}

TEST_F(GateTest, WhatIsAppliedIsHeldOnlyOfTheBrandThatIsWatched) {
  Process& process = Start(LeasedReads(), {});
  bool applied = false;
  process.writer.Apply("acme", 2, "", [&](const absl::Status& status) { applied = status.ok(); });
  ASSERT_TRUE(RunUntil([&] { return applied; }));
  gate_.Watch("acme");
  applied = false;
  process.writer.Apply("acme", 2, "", [&](const absl::Status& status) { applied = status.ok(); });
  EXPECT_EQ(HeldAt("feed"), Step::kApply);
  EXPECT_TRUE(gate_.quiet());
  EXPECT_TRUE(gate_.Go("feed"));
  EXPECT_FALSE(gate_.quiet()) << "Redis is asked";
  ASSERT_TRUE(RunUntil([&] { return applied; }));
  EXPECT_TRUE(RunUntil([&] { return gate_.quiet(); }));
  process.writer.Apply("another", 2, "", [&](const absl::Status&) { applied = false; });
  ASSERT_TRUE(RunUntil([&] { return !applied; })) << "not held";
  process.writer.Apply("acme", 2, "", [&](const absl::Status& status) { applied = status.ok(); });
  EXPECT_EQ(HeldAt("feed"), Step::kApply);
  gate_.Watch("another");
  EXPECT_TRUE(RunUntil([&] { return applied; })) << "nobody is left held for a brand that is watched no more";
}

TEST_F(GateTest, WhoDiesBeforeItAppliesHasToldNobody) {
  Process& process = Start(LeasedReads(), {});
  redis_server_->Command({"SET", CacheKey("acme", kDefaultWindow), "x"});
  gate_.Watch("acme");
  absl::Status told;
  process.writer.Apply("acme", 2, "", [&](const absl::Status& status) { told = status; });
  EXPECT_TRUE(gate_.Die("feed"));
  EXPECT_EQ(told.code(), absl::StatusCode::kAborted);
  RunFor(Millis(10));
  EXPECT_EQ(redis_server_->Command({"EXISTS", CacheKey("acme", kDefaultWindow)}), "1");
}

// With an L1 there is a moment between the answer of L2 and its use (race 14), and one behind a store.
TEST_F(GateTest, WhatL2SaysIsKeptAtAStepOfItsOwn) {
  Process& process = Start(Reader::Options{}, {});
  EXPECT_THAT(StepsOfRead(process), ElementsAre("get", "select", "load", "set"));
  process.reader.ForgetAll();
  EXPECT_THAT(StepsOfRead(process), ElementsAre("get", "keep"));
  redis_server_->Command({"FLUSHALL"});
  process.reader.FollowShared(true);
  process.reader.TrustLocalUntil(Clock::now() + std::chrono::hours(1));
  EXPECT_THAT(StepsOfRead(process), ElementsAre("get", "select", "load", "set", "keep"));
}

TEST_F(GateTest, WhoseCacheAnotherTellsStopsBeforeItIsAcknowledged) {
  Writer::Options silent;
  silent.tells_cache = false;
  Process& process = Start(LeasedReads(), silent);
  const auto dead = Write(process, "W1");
  Go("W1", Step::kCommit);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W1") == Step::kAnswer; }));
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_TRUE(gate_.Die("W1"));
  EXPECT_FALSE(dead->ended);
}

TEST_F(GateTest, AReaderThatWaitsForALeaseLooksAgainWhenItIsTold) {
  Process& process = Start(LeasedReads(), {});
  const auto first = Read(process, "R1");
  Go("R1", Step::kGet);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R1") == Step::kSelect; }));
  const auto second = Read(process, "R2");
  for (int look = 0; look < 3; ++look) {
    Go("R2", Step::kGet);
    ASSERT_TRUE(RunUntil([&] { return HeldAt("R2") == Step::kGet; }));
  }
  EXPECT_THAT(Steps("R1"), ElementsAre("select", "set"));
  EXPECT_THAT(Steps("R2"), ElementsAre("get"));
  Ended(second);
  EXPECT_EQ(Name(second->answer.via), "l2");
}

TEST_F(GateTest, WhoMovesAndWhoDoesNot) {
  Reader::Options reads = LeasedReads();
  reads.single_flight = true;
  Process& process = Start(reads, {});
  EXPECT_TRUE(gate_.quiet());
  const auto leads = Read(process, "R1");
  const auto joins = Read(process, "R2");
  EXPECT_TRUE(gate_.quiet()) << "one is held, the other waits for it";
  ASSERT_EQ(gate_.present().size(), 2u);
  EXPECT_TRUE(gate_.present()[1].waits);
  gate_.Go("R1");
  EXPECT_FALSE(gate_.quiet()) << "Redis is asked";
  Go("R1", Step::kSelect);
  Go("R1", Step::kLoad);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R1") == Step::kSet; }));
  EXPECT_TRUE(leads->ended && joins->ended) << "they are answered before the store";
  ASSERT_EQ(gate_.present().size(), 1u);
  EXPECT_TRUE(gate_.present()[0].answered);
  EXPECT_THAT(Steps("R1"), ElementsAre("set"));
  EXPECT_TRUE(gate_.present().empty());
}

TEST_F(GateTest, AWriterThatDiesInItsTransactionLeavesNoLock) {
  Process& process = Start(LeasedReads(), Writes(WritePattern::kDeleteInTransaction));
  const auto dead = Write(process, "W1");
  Go("W1", Step::kWrite);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W1") == Step::kDelete; }));
  const auto blocked = Write(process, "W2");
  Go("W2", Step::kWrite);
  RunFor(Millis(20));
  EXPECT_FALSE(HeldAt("W2").has_value()) << "the row is locked";
  EXPECT_TRUE(gate_.Die("W1"));
  EXPECT_THAT(Steps("W2"), ElementsAre("delete", "commit"));
  Ended(blocked);
  EXPECT_EQ(*blocked->version, 2u);
  EXPECT_FALSE(dead->ended) << "its client is never told";
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_FALSE(gate_.Die("W1"));
}

TEST_F(GateTest, AReaderThatDiesLeavesItsLease) {
  Process& process = Start(LeasedReads(), {});
  const auto dead = Read(process, "R1");
  Go("R1", Step::kGet);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R1") == Step::kSelect; }));
  EXPECT_TRUE(gate_.Die("R1"));
  EXPECT_TRUE(dead->ended);
  EXPECT_EQ(dead->answer.status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(redis_server_->Command({"EXISTS", LeaseKey(CacheKey("acme", kDefaultWindow))}), "1");
  EXPECT_TRUE(gate_.present().empty());
}

}  // namespace
}  // namespace lab::cacheapi
