#include "services/cacheapi/feed/outbox_relay.h"

#include "services/cacheapi/testing/feeds_fixture.h"

namespace lab::cacheapi {
namespace {

using ::testing::Pair;

class OutboxRelayTest : public FeedsTest {
 protected:
  void SetUp() override {
    FeedsTest::SetUp();
    if (postgres_ != nullptr) postgres_->Query("DELETE FROM outbox");
  }
  static std::string Rows() { return postgres_->Query("SELECT count(*) FROM outbox"); }
  static constexpr char kTold[] = "cacheapi_outbox_told_total";
};

// Race 4: W commits v2 and dies before it deletes.
TEST_F(OutboxRelayTest, AWriterThatDiesLeavesAStaleEntryWhenItAloneTells) {
  Node& dying = StartNode(AllReads(), Writes(WritePattern::kDeleteAfterCommit));
  Node& other = StartTracked();
  Fill(other);
  WriteAt(dying, "W");
  Go("W", Step::kCommit);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kDelete; }));
  gate_.Die("W");
  RunFor(Millis(50));
  EXPECT_EQ(VersionThere(), 2u);
  EXPECT_EQ(VersionAt(other), 1u);
}

TEST_F(OutboxRelayTest, TheOutboxTellsForAWriterThatDies) {
  Node& dying = StartNode(AllReads(), SilentWrites());
  Node& other = StartTracked();
  Fill(other);
  WriteAt(dying, "W");
  Go("W", Step::kCommit);  // and nothing more of it
  ASSERT_TRUE(RunUntil([&] { return VersionThere() == 2; }));
  nodes_.erase(nodes_.begin());
  EXPECT_EQ(Rows(), "1");
  EXPECT_EQ(VersionAt(other), 1u);
  other.Relay();
  ASSERT_TRUE(RunUntil([&] { return other.Metric(kTold) == 1; }));
  EXPECT_EQ(VersionAt(other), 2u);
  EXPECT_EQ(Rows(), "0");
}

TEST_F(OutboxRelayTest, ARelayThatDiesLeavesItsRowsToAnother) {
  Node& dying = StartNode(AllReads(), SilentWrites());
  Node& other = StartTracked();
  Fill(other);
  Ended(WriteAt(dying));
  dying.Relay("relay");
  ASSERT_TRUE(RunUntil([&] { return HeldAt("relay") == Step::kApply; }));
  other.Relay();
  RunFor(Millis(50));
  EXPECT_EQ(other.Metric(kTold), 0) << "the row is taken";
  EXPECT_EQ(VersionAt(other), 1u);
  gate_.Die("relay");
  nodes_.erase(nodes_.begin());
  ASSERT_TRUE(RunUntil([&] { return other.Metric(kTold) == 1; }));
  EXPECT_EQ(VersionAt(other), 2u);
}

TEST_F(OutboxRelayTest, RowsStayWhileL2CannotBeTold) {
  Node& node = StartNode(AllReads(), SilentWrites());
  Fill(node);
  node.Arm("redis.script.before", "error operation=delete");
  node.Relay();
  Ended(WriteAt(node));
  ASSERT_TRUE(RunUntil([&] { return node.Metric("cacheapi_outbox_failures_total") >= 2; }));
  EXPECT_EQ(Rows(), "1");
  EXPECT_TRUE(InL2());
  node.failpoints.Disarm(**failpoint::FindPoint("redis.script.before"));
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) == 1; }));
  EXPECT_EQ(Rows(), "0");
  EXPECT_EQ(VersionAt(node), 2u);
}

TEST_F(OutboxRelayTest, SeveralRelaysShareTheRows) {
  Node& first = StartNode(AllReads(), SilentWrites());
  Node& second = StartNode(AllReads(), SilentWrites());
  for (int i = 0; i < 200; ++i) {
    postgres_->Query("INSERT INTO outbox (brand_id, version) VALUES ('acme', " + std::to_string(i) + ")");
  }
  OutboxRelay::Options options;
  options.batch = 7;
  first.Relay("", options);
  second.Relay("", options);
  ASSERT_TRUE(RunUntil([&] { return first.Metric(kTold) + second.Metric(kTold) == 200; }));
  EXPECT_EQ(Rows(), "0");
  EXPECT_GT(first.Metric(kTold), 0);
  EXPECT_GT(second.Metric(kTold), 0);
  RunFor(Millis(50));
  EXPECT_EQ(first.Metric(kTold) + second.Metric(kTold), 200);
}

// Numbers of rows are not in the order of commits: the lower one commits last.
TEST_F(OutboxRelayTest, ARowThatCommitsLateIsNotLeftOut) {
  Node& node = StartNode(AllReads(), SilentWrites());
  const pg::Statement insert("insert", "INSERT INTO outbox (brand_id, version) VALUES ('acme', 7)");
  std::unique_ptr<pg::Transaction> slow;
  bool inserted = false;
  writes_->Begin([&](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) {
    slow = *std::move(begun);
    slow->Execute(insert, {}, [&](const absl::StatusOr<pg::Results>& results) { inserted = results.ok(); });
  });
  ASSERT_TRUE(RunUntil([&] { return inserted; }));
  postgres_->Query("INSERT INTO outbox (brand_id, version) VALUES ('acme', 8)");
  node.Relay();
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) == 1; }));
  slow->Commit([](const absl::Status&) {});
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) == 2; }));
  EXPECT_EQ(Rows(), "0");
}

// More than Redis takes commands at once.
TEST_F(OutboxRelayTest, ABatchOfThousandsOfBrandsGoesThrough) {
  Node& node = StartNode(AllReads(), SilentWrites());
  postgres_->Query("INSERT INTO outbox (brand_id, version) SELECT 'b' || i, 2 FROM generate_series(1, 3000) AS i");
  OutboxRelay::Options options;
  options.batch = 10'000;
  node.Relay("", options);
  ASSERT_TRUE(RunUntil([&] { return node.Metric(kTold) == 3'000; }));
  EXPECT_EQ(node.Metric("cacheapi_outbox_failures_total"), 0);
  EXPECT_EQ(Rows(), "0");
}

// Race 16: told in another order than committed, and twice.
TEST_F(OutboxRelayTest, OrderAndRepetitionDoNoHarm) {
  for (const WritePattern pattern : {WritePattern::kDeleteAfterCommit, WritePattern::kBury}) {
    nodes_.clear();
    SetUp();
    Node& node = StartNode(AllReads(), Writes(pattern));
    Fill(node);
    WriteByHand();
    WriteByHand();
    for (const uint64_t version : {3, 2, 3, 2}) {
      bool told = false;
      node.writer.Apply("acme", version, "", [&](const absl::Status& status) { told = status.ok(); });
      ASSERT_TRUE(RunUntil([&] { return told; }));
      EXPECT_EQ(VersionAt(node), 3u);
    }
  }
}

}  // namespace
}  // namespace lab::cacheapi
