#include "services/runtime/pg/change_stream.h"

#include <algorithm>
#include <vector>

#include "services/runtime/pg/client_fixture.h"

namespace lab::pg {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Pair;

class ChangeStreamTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    if (server_ == nullptr) return;
    server_->Admin("ALTER ROLE lab REPLICATION");
    server_->Query("DROP PUBLICATION IF EXISTS counters");
    server_->Query("CREATE PUBLICATION counters FOR TABLE counter");
  }
  ~ChangeStreamTest() override {
    stream_.reset();
    if (server_ != nullptr) server_->Continue();
    const std::string slots = "SELECT count(*) FROM pg_replication_slots";
    for (int tries = 0; server_ != nullptr && tries < 100 && server_->Admin(slots) != "0"; ++tries) {
      server_->Admin("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
                     server_->database());
      RunFor(Millis(20));
    }
  }

  void Open(bool temporary = false, bool by_hand = false) {
    ChangeStream::Options options = options_;
    options.make_slot = !by_hand;
    options.confirm_by_hand = by_hand;
    options.port = server_->port();
    options.user = server_->user();
    options.database = server_->database();
    options.slot = "test_slot";
    options.publication = "counters";
    options.temporary = temporary;
    options.confirm_every = Millis(20);
    options.reconnect = {Millis(10), Millis(50)};
    stream_.emplace(
        loop_, options,
        ChangeStream::Listener{[this](const CommittedTransaction& transaction) {
                                 if (refuse_ > 0) return --refuse_, false;
                                 if (refuse_idle_ && transaction.changes.empty()) return refuse_idle_ = false;
                                 if (pause_) stream_->Pause();
                                 for (const Change& change : transaction.changes) {
                                   const auto key = change.columns.find("key");
                                   if (key != change.columns.end()) keys_.push_back(key->second);
                                 }
                                 if (transaction.changes.empty()) {
                                   ++idle_;
                                 } else {
                                   ends_.push_back(transaction.end);
                                 }
                                 last_ = transaction;
                                 return true;
                               },
                               [this] { ++connected_; }, [this](const absl::Status& why) { lost_.push_back(why); }},
        metrics_);
  }

  ChangeStream::Options options_;
  std::optional<ChangeStream> stream_;
  std::vector<std::string> keys_;
  CommittedTransaction last_;
  std::vector<Lsn> ends_;
  std::vector<absl::Status> lost_;
  int connected_ = 0, refuse_ = 0, idle_ = 0;
  bool refuse_idle_ = false, pause_ = false;
};

TEST_F(ChangeStreamTest, TellsWhatHasCommittedInOrder) {
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  server_->Query("BEGIN; INSERT INTO counter VALUES ('never', 1); ROLLBACK");
  server_->Query(
      "BEGIN; INSERT INTO counter VALUES ('b', 1), ('c', 2); UPDATE counter SET n = 9 WHERE key = 'a'; COMMIT");
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 4; }));
  EXPECT_THAT(keys_, ElementsAre("a", "b", "c", "a"));
  EXPECT_EQ(last_.changes.back().kind, Change::Kind::kUpdate);
  EXPECT_THAT(last_.changes.back().columns, Contains(Pair("n", "9")));
  EXPECT_GT(last_.committed_unix_us, 1'700'000'000'000'000);
}

TEST_F(ChangeStreamTest, WhatHappensWhileItIsAwayIsToldAfterwards) {
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Query("INSERT INTO counter VALUES ('before', 1)");
  ASSERT_TRUE(RunUntil([&] { return !keys_.empty(); }));
  const Lsn taken = last_.end;
  ASSERT_TRUE(RunUntil([&] { return stream_->confirmed() >= taken; }));
  RunFor(Millis(100));  // the confirmation has arrived
  stream_.reset();
  RunFor(Millis(20));
  keys_.clear();
  server_->Query("INSERT INTO counter VALUES ('meanwhile', 1)");
  Open();
  ASSERT_TRUE(RunUntil([&] { return std::count(keys_.begin(), keys_.end(), "meanwhile") == 1; }));
  EXPECT_EQ(std::count(keys_.begin(), keys_.end(), "before"), 0) << "it was confirmed";
}

TEST_F(ChangeStreamTest, WhatIsNotTakenCareOfComesAgain) {
  refuse_ = 2;
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  server_->Query("INSERT INTO counter VALUES ('b', 1)");
  ASSERT_TRUE(RunUntil([&] { return keys_.size() >= 2; }));
  EXPECT_THAT(keys_, ElementsAre("a", "b")) << "in order, none lost";
  EXPECT_EQ(Metric("pg_change_reconnects_total"), 2);
}

TEST_F(ChangeStreamTest, ComesBackWhenItsConnectionIsEnded) {
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Admin("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 1; }));
  EXPECT_GE(connected_, 2);
}

TEST_F(ChangeStreamTest, ATemporarySlotGoesWithItsConnection) {
  Open(true);
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  EXPECT_EQ(server_->Admin("SELECT count(*) FROM pg_replication_slots"), "1");
  stream_.reset();
  ASSERT_TRUE(RunUntil([&] { return server_->Admin("SELECT count(*) FROM pg_replication_slots") == "0"; }));
}

TEST_F(ChangeStreamTest, ASlotThatItMayNotMakeIsWaitedFor) {
  Open(false, true);
  RunFor(Millis(150));
  EXPECT_EQ(connected_, 0);
  EXPECT_EQ(server_->Admin("SELECT count(*) FROM pg_replication_slots"), "0");
  server_->Query("SELECT pg_create_logical_replication_slot('test_slot', 'pgoutput')");
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
}

TEST_F(ChangeStreamTest, ByHandNothingIsConfirmedBeforeItIsSaid) {
  server_->Query("SELECT pg_create_logical_replication_slot('test_slot', 'pgoutput')");
  Open(false, true);
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  server_->Query("INSERT INTO counter VALUES ('b', 1)");
  ASSERT_TRUE(RunUntil([&] { return ends_.size() == 2; }));
  stream_->Confirm(ends_[0]);
  RunFor(Millis(100));
  EXPECT_EQ(stream_->confirmed(), ends_[0]);
  keys_.clear();
  server_->Admin("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
  ASSERT_TRUE(RunUntil([&] { return connected_ == 2 && !keys_.empty(); }));
  EXPECT_THAT(keys_, ElementsAre("b"));
}

TEST_F(ChangeStreamTest, ByHandPlacesWithoutChangesComeToo) {
  server_->Query("SELECT pg_create_logical_replication_slot('test_slot', 'pgoutput')");
  Open(false, true);
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  ASSERT_TRUE(RunUntil([&] { return ends_.size() == 1; }));
  const int before = idle_;
  server_->Query("CREATE TABLE not_ours (x int)");
  server_->Query("DROP TABLE not_ours");
  ASSERT_TRUE(RunUntil([&] { return idle_ > before; }));
  EXPECT_GT(last_.end, ends_[0]);
  EXPECT_EQ(stream_->confirmed(), 0u);
}

TEST_F(ChangeStreamTest, ByHandAPlaceThatIsRefusedIsNoBrokenMessage) {
  server_->Query("SELECT pg_create_logical_replication_slot('test_slot', 'pgoutput')");
  refuse_idle_ = true;
  Open(false, true);
  server_->Query("CREATE TABLE not_ours (x int)");
  server_->Query("DROP TABLE not_ours");
  ASSERT_TRUE(RunUntil([&] { return !lost_.empty(); }));
  EXPECT_EQ(lost_.front().code(), absl::StatusCode::kUnavailable) << lost_.front();
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 1; }));
}

// More than the buffers between us hold: it waits with the server, and the connection stands.
TEST_F(ChangeStreamTest, WhilePausedNothingIsToldAndNothingIsLost) {
  options_.silence = Millis(1000);
  pause_ = true;
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  for (int i = 0; i < 20; ++i) {
    server_->Query("INSERT INTO counter SELECT '" + std::to_string(i) +
                   "/' || n || repeat('x', 400), 1 FROM "
                   "generate_series(1, 1000) AS n");
  }
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 1000; }));
  RunFor(Millis(1500));
  EXPECT_EQ(keys_.size(), 1000u) << "one transaction, and then no more";
  stream_->Resume();
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 2000; }));
  pause_ = false;
  stream_->Resume();
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 20'000; }));
  EXPECT_TRUE(std::is_sorted(ends_.begin(), ends_.end()));
  EXPECT_EQ(Metric("pg_change_reconnects_total"), 0);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(ChangeStreamTest, PausedAndResumedWithinTheCallItGoesOn) {
  pause_ = true;
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  for (int i = 0; i < 50; ++i) server_->Query("INSERT INTO counter VALUES ('" + std::to_string(i) + "', 1)");
  ASSERT_TRUE(RunUntil([&] {
    stream_->Resume();
    return keys_.size() == 50;
  }));
}

// Without a word: no connection is closed, nothing is refused.
TEST_F(ChangeStreamTest, AServerThatSaysNothingIsLost) {
  options_.silence = Millis(1000);
  Open();
  ASSERT_TRUE(RunUntil([&] { return connected_ == 1; }));
  RunFor(Millis(2500));
  EXPECT_TRUE(lost_.empty()) << "one that has nothing to tell is alive when it is asked";
  server_->Pause();
  ASSERT_TRUE(RunUntil([&] { return !lost_.empty(); }));
  EXPECT_EQ(lost_.front().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(stream_->connected());
  server_->Continue();
  server_->Query("INSERT INTO counter VALUES ('a', 1)");
  ASSERT_TRUE(RunUntil([&] { return keys_.size() == 1; }));
}

}  // namespace
}  // namespace lab::pg
