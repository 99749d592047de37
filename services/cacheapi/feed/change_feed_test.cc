#include "services/cacheapi/feed/change_feed.h"

#include "services/cacheapi/shared/flush.h"
#include "services/cacheapi/testing/feeds_fixture.h"

namespace lab::cacheapi {
namespace {

class ChangeFeedTest : public FeedsTest {
 protected:
  ~ChangeFeedTest() override {
    gate_.Open();
    nodes_.clear();
    if (postgres_ != nullptr) postgres_->Query("DELETE FROM brand WHERE id <> 'acme'");
    for (int tries = 0; postgres_ != nullptr && tries < 200 && Slots() != "0"; ++tries) {
      postgres_->Admin("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
                       postgres_->database());
      RunFor(Millis(20));
    }
  }
  static std::string Slots() { return postgres_->Admin("SELECT count(*) FROM pg_replication_slots"); }
  static bool Taken() { return postgres_->Admin("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"; }
  Node& StartFeed(const ChangeFeed::Options& options = {}) {
    Node& node = StartNode(AllReads(), SilentWrites());
    node.Feed("", options);
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
  // Many brands, in one transaction each time.
  static void Insert(int brands) {
    postgres_->Query("INSERT INTO brand SELECT 'b' || i, 'A brand' FROM generate_series(1, " + std::to_string(brands) +
                     ") AS i");
    postgres_->Query("INSERT INTO brand_state (brand_id) SELECT id FROM brand WHERE id <> 'acme'");
  }
  static void WriteAll() { postgres_->Query("UPDATE brand_state SET version = version + 1"); }
  // As an entry that nobody has been told to take away.
  void Plant(const std::string& brand) { redis_server_->Command({"SET", CacheKey(brand, kDefaultWindow), "old"}); }
  static bool Stands(const std::string& brand) {
    return redis_server_->Command({"EXISTS", CacheKey(brand, kDefaultWindow)}) == "1";
  }
  static constexpr char kRestarts[] = "cacheapi_change_feed_restarts_total";
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
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kRestarts) >= 2; }));
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

// More than Redis takes commands at once.
TEST_F(ChangeFeedTest, ATransactionOverThousandsOfBrandsGoesThrough) {
  Node& node = StartFeed();
  const double gaps = node.Metric(kGaps);
  Insert(3'000);
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= 3'000; }));
  Fill(node);
  Plant("b1");
  Plant("b2999");
  WriteAll();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= 6'001; }));
  Confirmed();
  EXPECT_FALSE(InL2() || Stands("b1") || Stands("b2999"));
  EXPECT_EQ(VersionAt(node), 2u);
  EXPECT_EQ(node.Metric(kRestarts), 0);
  EXPECT_EQ(node.Metric(kGaps), gaps) << "each by its name";
}

TEST_F(ChangeFeedTest, OfTooManyBrandsL2IsToldByEmptyingIt) {
  ChangeFeed::Options options;
  options.most_named = 20;
  Node& node = StartFeed(options);
  const double gaps = node.Metric(kGaps);
  Insert(100);
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 1; }));
  Confirmed();
  Fill(node);
  Plant("b50");
  WriteAll();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 2; }));
  Confirmed();
  EXPECT_FALSE(InL2() || Stands("b50"));
  EXPECT_EQ(VersionAt(node), 2u);
  EXPECT_EQ(node.Metric(kTold), 0);
  EXPECT_EQ(node.Metric(kRestarts), 0);
}

TEST_F(ChangeFeedTest, OfATransactionThatIsTooLargeToo) {
  ChangeFeed::Options options;
  options.most_bytes = 500;
  Node& node = StartFeed(options);
  const double gaps = node.Metric(kGaps);
  Insert(100);
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 1; }));
  Confirmed();
  Fill(node);
  Plant("b50");
  WriteAll();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 2; }));
  Confirmed();
  EXPECT_FALSE(InL2() || Stands("b50"));
  EXPECT_EQ(VersionAt(node), 2u);
  WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) >= 1; })) << "a small one is told by its name";
  EXPECT_EQ(node.Metric(kRestarts), 0);
}

// While L2 is being emptied for one, others come: they share the next walk, since this one may have passed what they
// mean; and until that has ended the place stays before them.
TEST_F(ChangeFeedTest, OneWalkAtATimeForAllThatNameNoBrand) {
  Node& node = StartFeed();
  Confirmed();
  const double gaps = node.Metric(kGaps);
  node.Arm("redis.command.before", "delay delay=100ms operation=SCAN");
  const auto truncate = [] {
    postgres_->Query("BEGIN; TRUNCATE brand_state; INSERT INTO brand_state VALUES ('acme', 5); COMMIT");
  };
  truncate();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 1; }));
  truncate();
  truncate();
  Plant("acme");
  const std::string behind = postgres_->Admin("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn");
  const auto place = [] { return std::stoull(redis_server_->Command({"GET", "cacheapi:cdc:test_feed"})); };
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kGaps) == gaps + 2; }));
  EXPECT_LT(place(), std::stoull(behind));
  node.failpoints.Disarm(**failpoint::FindPoint("redis.command.before"));
  Confirmed();
  EXPECT_GE(place(), std::stoull(behind));
  EXPECT_FALSE(InL2());
  EXPECT_EQ(node.Metric(kGaps), gaps + 2);
  EXPECT_EQ(node.Metric(kRestarts), 0);
}

// The rest waits in PostgreSQL, and the connection stands.
TEST_F(ChangeFeedTest, MoreThanItCanTellIsNotRead) {
  ChangeFeed::Options options;
  options.most_in_flight = 3;
  Node& node = StartFeed(options);
  node.Arm("redis.script.before", "delay delay=30ms operation=delete");
  for (int i = 0; i < 40; ++i) WriteByHand();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) == 40; }));
  Confirmed();
  EXPECT_EQ(node.Metric(kRestarts), 0);
  EXPECT_EQ(VersionAt(node), 41u);
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
