#include "services/cacheapi/change_feed.h"

#include "services/cacheapi/feeds_fixture.h"
#include "services/cacheapi/flush.h"

namespace lab::cacheapi {
namespace {

class ChangeFeedTest : public FeedsTest {
 protected:
  ~ChangeFeedTest() override {
    gate_.Open();
    nodes_.clear();
    for (int tries = 0; postgres_ != nullptr && tries < 200 && Slots() != "0"; ++tries) {
      postgres_->Admin("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
                       postgres_->database());
      RunFor(Millis(20));
    }
  }
  static std::string Slots() { return postgres_->Admin("SELECT count(*) FROM pg_replication_slots"); }
  static bool Taken() { return postgres_->Admin("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"; }
  Node& StartFeed(const Writer::Options& writes = SilentWrites()) {
    Node& node = StartNode(AllReads(), writes);
    node.Feed();
    EXPECT_TRUE(RunUntil([&] { return node.feed->reading(); }));
    return node;
  }
  // What it was told has also been confirmed.
  void Confirmed() {
    const std::string now = postgres_->Admin("SELECT pg_current_wal_lsn()");
    postgres_->Admin("SELECT pg_logical_emit_message(false, 'test', 'so that there is something behind')");
    ASSERT_TRUE(RunUntil([&] {
      return postgres_->Admin("SELECT confirmed_flush_lsn >= '" + now + "' FROM pg_replication_slots") == "t";
    }));
  }
  static constexpr char kGaps[] = "cacheapi_change_feed_gaps_total";
  static constexpr char kTold[] = "cacheapi_change_feed_told_total";
};

// Race 4, and more: whoever writes, it is told.
TEST_F(ChangeFeedTest, TellsOfEveryCommit) {
  Node& node = StartFeed();
  for (uint64_t version = 1; version < 5; ++version) {
    EXPECT_EQ(VersionAt(node), version);
    Fill(node);
    WriteByHand();
    ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= static_cast<double>(version); }));
    ASSERT_TRUE(RunUntil([&] { return !InL2() && node.local.entries() == 0; }));
  }
}

TEST_F(ChangeFeedTest, TellsForAWriterThatDies) {
  Node& reader = StartFeed();
  Node& dying = StartNode(AllReads(), Writes(WritePattern::kDeleteAfterCommit));
  Fill(reader);
  WriteAt(dying, "W");
  Go("W", Step::kCommit);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kDelete; }));
  gate_.Die("W");
  ASSERT_TRUE(RunUntil([&] { return reader.Metric(kTold) >= 1; }));
  EXPECT_EQ(VersionAt(reader), 2u);
}

TEST_F(ChangeFeedTest, TheFirstSlotFindsL2InDoubt) {
  Node& before = StartNode(AllReads());
  Fill(before);
  redis_server_->Command({"SET", LeaseKey(CacheKey("acme", Window::kHour)), "somebody's"});
  redis_server_->Command({"SET", "other:key", "not ours"});
  Node& node = StartFeed();
  EXPECT_EQ(node.Metric(kGaps), 1);
  EXPECT_FALSE(InL2());
  EXPECT_EQ(redis_server_->Command({"EXISTS", LeaseKey(CacheKey("acme", Window::kHour))}), "0");
  EXPECT_EQ(redis_server_->Command({"GET", "other:key"}), "not ours");
}

TEST_F(ChangeFeedTest, WhatHappensWhileNobodyReadsIsToldAfterwards) {
  Node& first = StartFeed();
  Confirmed();
  nodes_.clear();
  ASSERT_TRUE(RunUntil([&] { return !Taken(); }));
  Node& node = StartNode(AllReads(), SilentWrites());
  Fill(node);
  WriteByHand();
  EXPECT_EQ(VersionAt(node), 1u);
  node.Feed();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= 1; }));
  EXPECT_EQ(VersionAt(node), 2u);
  EXPECT_EQ(node.Metric(kGaps), 0) << "the place in L2 is that of the slot";
  (void)first;
}

TEST_F(ChangeFeedTest, OneReadsAndAnotherTakesOver) {
  StartFeed();
  Confirmed();
  Node& second = StartNode(AllReads(), SilentWrites());
  second.Feed();
  RunFor(Millis(150));
  EXPECT_FALSE(second.feed->reading());
  Fill(second);
  nodes_.erase(nodes_.begin());
  WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return second.feed->reading() && second.Metric(kTold) >= 1; }));
  EXPECT_EQ(VersionAt(second), 2u);
  EXPECT_EQ(second.Metric(kGaps), 0);
}

TEST_F(ChangeFeedTest, NothingIsConfirmedThatL2WasNotTold) {
  Node& node = StartFeed();
  Fill(node);
  Confirmed();
  node.Arm("redis.script.before", "error operation=delete");
  WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return node.Metric("cacheapi_change_feed_restarts_total") >= 2; }));
  EXPECT_TRUE(InL2());
  node.failpoints.Disarm(**failpoint::FindPoint("redis.script.before"));
  ASSERT_TRUE(RunUntil([&] { return !InL2(); }));
  ASSERT_TRUE(RunUntil([&] { return node.feed->reading(); }));
  EXPECT_EQ(VersionAt(node), 2u);
  EXPECT_EQ(node.Metric(kGaps), 1) << "only the first";
}

// Redis died and has forgotten its last moments: a delete among them, and the place behind it.
TEST_F(ChangeFeedTest, ARedisThatForgotIsEmptied) {
  Node& node = StartFeed();
  Fill(node);
  const std::string old_place = redis_server_->Command({"GET", "cacheapi:cdc:test_feed"});
  const std::string key = CacheKey("acme", kDefaultWindow);
  redis_server_->Command({"COPY", key, "kept"});
  WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return !InL2(); }));
  Confirmed();
  redis_server_->Command({"COPY", "kept", key});
  redis_server_->Command({"SET", "cacheapi:cdc:test_feed", old_place});
  redis_server_->Command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == 2; }));
  ASSERT_TRUE(RunUntil([&] { return node.feed->reading(); }));
  EXPECT_EQ(VersionAt(node), 2u);
}

TEST_F(ChangeFeedTest, ASlotThatFellTooFarBehindIsMadeAnew) {
  StartFeed();
  Confirmed();
  nodes_.clear();
  ASSERT_TRUE(RunUntil([&] { return !Taken(); }));
  Node& node = StartNode(AllReads(), SilentWrites());
  Fill(node);
  WriteByHand();
  for (int i = 0; i < 6; ++i) {
    postgres_->Admin("SELECT pg_logical_emit_message(false, 'test', repeat('x', 4000000))");
    postgres_->Admin("SELECT pg_switch_wal()");
  }
  postgres_->Admin("CHECKPOINT");
  ASSERT_EQ(postgres_->Admin("SELECT wal_status FROM pg_replication_slots"), "lost");
  EXPECT_EQ(VersionAt(node), 1u);
  node.Feed();
  ASSERT_TRUE(RunUntil([&] { return node.feed->reading(); }));
  EXPECT_EQ(node.Metric(kGaps), 1);
  EXPECT_EQ(VersionAt(node), 2u) << "never told, and yet not stale";
  WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= 1; }));
  EXPECT_EQ(VersionAt(node), 3u);
}

TEST_F(ChangeFeedTest, ATruncatedTableLeavesNothing) {
  Node& node = StartFeed();
  Fill(node);
  ASSERT_TRUE(RunUntil([&] { return node.local.entries() == 1; }));
  postgres_->Query("BEGIN; TRUNCATE brand_state; INSERT INTO brand_state VALUES ('acme', 9); COMMIT");
  ASSERT_TRUE(RunUntil([&] { return !InL2() && node.feed->reading(); }));
  EXPECT_EQ(VersionAt(node), 9u);
}

TEST_F(ChangeFeedTest, NoSlotWithoutABound) {
  pg::TestServer unbounded;
  Node& node = StartNode(AllReads(), SilentWrites());
  pg::Options options = Pool("pg_feed", 1);
  options.port = unbounded.port();
  options.user = unbounded.user();
  options.database = unbounded.database();
  pg::Client client(loop_, options, node.metrics);
  ChangeFeed feed({loop_, client, options, node.redis, node.Applying(""), [] {}, node.metrics}, {});
  ASSERT_TRUE(RunUntil([&] { return client.connected(); }));
  RunFor(Millis(300));
  EXPECT_FALSE(feed.reading());
  EXPECT_EQ(unbounded.Admin("SELECT count(*) FROM pg_replication_slots"), "0");
  client.Close();
}

// A fill that had its lease before the flush stores nothing after it.
TEST_F(ChangeFeedTest, AFlushTakesTheLeasesOfThoseWhoFill) {
  Node& node = StartNode(AllReads());
  const auto reader = ReadAt(node, "R");
  Go("R", Step::kGet);
  Go("R", Step::kSelect);
  Go("R", Step::kLoad);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("R") == Step::kSet; }));
  WriteByHand();
  for (int i = 0; i < 1500; ++i) redis_server_->Command({"SET", "insights:{b" + std::to_string(i) + "}:w=24h", "x"});
  bool flushed = false;
  FlushEntries(node.redis, [&](const absl::Status& status) { flushed = status.ok(); });
  ASSERT_TRUE(RunUntil([&] { return flushed; }));
  EXPECT_EQ(redis_server_->Command({"DBSIZE"}), "0");
  Go("R", Step::kSet);
  RunFor(Millis(30));
  EXPECT_FALSE(InL2());
}

}  // namespace
}  // namespace lab::cacheapi
