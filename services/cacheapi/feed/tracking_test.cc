#include "services/cacheapi/feed/tracking.h"

#include <unistd.h>

#include "services/cacheapi/testing/feeds_fixture.h"

namespace lab::cacheapi {
namespace {

using ::testing::Pair;

class TrackingTest : public FeedsTest {
 protected:
  static std::string Changed(const char* what) {
    return std::string("cacheapi_tracking_told_total{what=\"") + what + "\"}";
  }
  static std::string LostBy(const char* why) {
    return std::string("cacheapi_tracking_lost_total{why=\"") + why + "\"}";
  }
};

TEST_F(TrackingTest, L1IsInUseOnceABeatIsBack) {
  Node& node = StartNode(AllReads());
  node.Track();
  Fill(node);
  EXPECT_EQ(node.local.entries(), 0u) << "not before";
  ASSERT_TRUE(RunUntil([&] { return node.tracking->on(); }));
  EXPECT_THAT(Got(node), Pair(1, "l2"));
  EXPECT_THAT(Got(node), Pair(1, "l1"));
}

TEST_F(TrackingTest, AnOwnFillStays) {
  Node& node = StartTracked();
  EXPECT_THAT(Got(node), Pair(1, "origin"));
  ASSERT_TRUE(RunUntil([&] { return node.Metric(Changed("own")) == 1; }));
  RunFor(Millis(20));
  EXPECT_EQ(node.Metric(Changed("changed")), 0) << "a lease is no entry";
  EXPECT_THAT(Got(node), Pair(1, "l1"));
}

TEST_F(TrackingTest, AWriteOfAnotherProcessIsHeardOf) {
  Node& here = StartTracked();
  Node& there = StartTracked();
  for (uint64_t version = 1; version < 5; ++version) {
    EXPECT_EQ(VersionAt(here), version);
    Warm(here);
    const auto write = WriteAt(there);
    ASSERT_TRUE(RunUntil([&] { return write->ended && here.local.entries() == 0; }));
  }
}

TEST_F(TrackingTest, SoIsAFillAndADeleteOfWhomever) {
  Node& node = StartTracked();
  const std::string key = CacheKey("acme", kDefaultWindow);
  for (const std::vector<std::string>& change :
       {std::vector<std::string>{"SET", key, "something else"}, {"DEL", key}, {"PEXPIRE", key, "1"}, {"FLUSHALL"}}) {
    Warm(node);
    redis_server_->Command(change);
    ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 0; })) << change[0];
  }
  EXPECT_GE(node.Metric(Changed("flush")), 1) << "more where the host was too slow for a beat";
}

// Races 13 and 15 without it: nobody tells.
TEST_F(TrackingTest, WithoutItL1StaysAsItIs) {
  Node& here = StartNode(AllReads());
  Node& there = StartNode(AllReads());
  Fill(here);
  Ended(WriteAt(there));
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_THAT(Got(here), Pair(1, "l1"));
}

// A change by others that is taken for our own store, as when one message tells of both: L2 has something else.
TEST_F(TrackingTest, AnOwnStoreHidesNoChangeOfOthers) {
  Node& node = StartTracked();
  Fill(node);
  ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 1 && node.Metric(Changed("own")) == 1; }));
  node.Arm("redis.command.before", "error operation=SET times=1");
  std::optional<absl::StatusOr<bool>> stored;
  node.shared.Set(CacheKey("acme", kDefaultWindow), Value(), [&](absl::StatusOr<bool> done) { stored = done; });
  ASSERT_TRUE(RunUntil([&] { return stored.has_value(); }));
  EXPECT_FALSE(stored->ok());
  redis_server_->Command({"DEL", CacheKey("acme", kDefaultWindow)});
  ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 0; }));
  EXPECT_EQ(node.Metric(Changed("own")), 2);
  EXPECT_EQ(node.Metric(Changed("changed")), 0);
}

// Race 1 across processes: R reads v1; W of another process commits v2 and deletes what is not in L2 yet, which Redis
// tells nobody; L2 refuses R's fill, and so it must not stand in L1 either.
TEST_F(TrackingTest, L1HoldsOnlyWhatL2HasTaken) {
  Node& here = StartTracked();
  Node& there = StartTracked();
  const auto reader = ReadAt(here, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  Go("R", Step::kLoad);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  Ended(WriteAt(there));
  Go("R", Step::kSet);
  RunFor(Millis(30));
  EXPECT_EQ(here.local.entries(), 0u);
  EXPECT_EQ(VersionAt(here), 2u);
}

// Race 13 within a process: W commits v2 and drops L1; R reads the old L2 into L1; W deletes L2.
class BetweenCommitAndDeleteTest : public TrackingTest {
 protected:
  void WhatWasReadDoesNotStay(Node& node) {
    Fill(node);
    const auto writer = WriteAt(node, "W");
    Go("W", Step::kCommit);
    ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kDelete; }));
    EXPECT_THAT(Got(node), Pair(1, "l2")) << "the write is not acknowledged yet";
    EXPECT_EQ(node.local.entries(), 1u);
    Go("W", Step::kDelete);
    Ended(writer);
    EXPECT_EQ(VersionAt(node), 2u);
  }
};
TEST_F(BetweenCommitAndDeleteTest, Tracked) { WhatWasReadDoesNotStay(StartTracked()); }
TEST_F(BetweenCommitAndDeleteTest, Alone) { WhatWasReadDoesNotStay(StartNode(AllReads())); }

// Races 13 and 14: the reply with the old value is on its way; W of another process deletes, and that is told first.
TEST_F(TrackingTest, AnOldReplyBehindItsInvalidationIsNotKept) {
  Node& here = StartTracked();
  Node& there = StartTracked();
  Fill(there);
  const double told = here.Metric(Changed("changed"));
  here.Arm("redis.command.after", "delay delay=150ms operation=GET times=1");
  const auto reader = ReadAt(here);
  RunFor(Millis(30));  // Redis has answered; the answer is held back
  Ended(WriteAt(there));
  ASSERT_TRUE(RunUntil([&] { return here.Metric(Changed("changed")) > told; }));
  EXPECT_FALSE(reader->ended);
  Ended(reader);
  EXPECT_EQ(reader->answer.value.version, 1u) << "it had asked before the write";
  EXPECT_EQ(here.local.entries(), 0u);
  EXPECT_EQ(VersionAt(here), 2u);
}

// Race 15, the connection that tells: while it is lost anything may happen, and nobody knows.
TEST_F(TrackingTest, WithoutTheConnectionThatTellsL1IsOutOfUse) {
  Node& node = StartTracked(Millis(1000));
  Fill(node);
  Warm(node);
  redis_server_->Command({"CLIENT", "KILL", "TYPE", "pubsub"});
  WriteByHand();  // before this process can have noticed
  redis_server_->Command({"DEL", CacheKey("acme", kDefaultWindow)});
  ASSERT_TRUE(RunUntil([&] { return !node.tracking->on(); }));
  EXPECT_EQ(node.local.entries(), 0u);
  EXPECT_THAT(Got(node), Pair(2, "origin"));
  ASSERT_TRUE(RunUntil([&] { return InL2(); }));
  EXPECT_FALSE(node.tracking->on());
  EXPECT_EQ(node.local.entries(), 0u) << "not filled either";
  EXPECT_THAT(Got(node), Pair(2, "l2"));
  ASSERT_TRUE(RunUntil([&] { return node.tracking->on(); }));
  EXPECT_THAT(Got(node), Pair(2, "l2"));
  EXPECT_THAT(Got(node), Pair(2, "l1"));
  EXPECT_EQ(node.Metric(LostBy("subscriber")), 1);
}

// Race 15, a connection that reads: the two might lead to different servers by then.
TEST_F(TrackingTest, WithoutTheConnectionThatReadsL1IsOutOfUseToo) {
  Node& node = StartTracked();
  Fill(node);
  redis_server_->Command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(RunUntil([&] { return !node.tracking->on(); }));
  EXPECT_EQ(node.local.entries(), 0u);
  EXPECT_EQ(node.Metric(LostBy("reader")), 1);
  ASSERT_TRUE(RunUntil([&] { return node.tracking->on(); }));
  EXPECT_EQ(VersionAt(node), 1u);
}

// Race 15 without a word: nobody closes the connection, and nothing comes.
TEST_F(TrackingTest, AfterASilenceL1IsNotGivenFrom) {
  Node& node = StartTracked();
  Fill(node);
  Warm(node);
  redis_server_->Pause();
  ASSERT_TRUE(RunUntil([&] { return !node.tracking->on(); }));
  EXPECT_EQ(node.local.entries(), 0u);
  EXPECT_GE(node.Metric(LostBy("silence")), 1);
  redis_server_->Continue();
  ASSERT_TRUE(RunUntil([&] { return node.tracking->on(); }));
}

TEST_F(TrackingTest, AProcessThatWasStoppedGivesNothingOld) {
  Node& node = StartTracked();
  Fill(node);
  Warm(node);
  WriteByHand();
  redis_server_->Command({"DEL", CacheKey("acme", kDefaultWindow)});
  const auto until = Clock::now() + Millis(450);  // this thread does nothing, as if stopped
  while (Clock::now() < until) usleep(1000);
  const auto outcome = ReadAt(node);  // before the loop has turned, and so has heard of the delete
  ASSERT_TRUE(RunUntil([&] { return outcome->ended; }));
  EXPECT_EQ(outcome->answer.value.version, 2u);
}

TEST_F(TrackingTest, ACopyTellsOfItsKey) {
  Node& node = StartTracked();
  Fill(node);
  ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 1; }));
  redis_server_->Command({"SET", "insights:{acme#1}:w=24h", "x"});
  ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 0; }));
}

}  // namespace
}  // namespace lab::cacheapi
