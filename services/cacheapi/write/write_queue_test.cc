#include "services/cacheapi/write/write_queue.h"

#include "services/cacheapi/testing/feeds_fixture.h"

namespace lab::cacheapi {
namespace {

using ::testing::HasSubstr;

// On a Redis of its own, which keeps what it has acknowledged.
class WriteQueueTest : public FeedsTest {
 protected:
  WriteQueueTest() : server_({"--appendonly", "yes", "--appendfsync", "always"}) {}
  ~WriteQueueTest() override {
    gate_.Open();
    nodes_.clear();
  }
  void SetUp() override {
    FeedsTest::SetUp();
    if (postgres_ == nullptr) return;
    postgres_->Query("INSERT INTO brand VALUES ('other', 'Other') ON CONFLICT DO NOTHING");
    postgres_->Query("INSERT INTO brand_state (brand_id) VALUES ('other') ON CONFLICT DO NOTHING");
    postgres_->Query("UPDATE brand_state SET version = 1");
  }

  static WriteQueue::Options Options(bool applies = true, const std::string& actor = "") {
    WriteQueue::Options options;
    options.applies = applies;
    options.actor = actor;
    options.hold = Millis(300);
    options.retry = Millis(100);
    return options;
  }
  Node& StartQueue(const WriteQueue::Options& options) {
    Node& node = StartNode(AllReads(), Writes(WritePattern::kWriteBehind), server_.port());
    node.Queue(options);
    EXPECT_TRUE(RunUntil([&] { return !absl::IsUnavailable(node.queue->durable()); }));
    return node;
  }
  static std::string VersionOf(const std::string& brand) {
    return postgres_->Query("SELECT version FROM brand_state WHERE brand_id = '" + brand + "'");
  }
  std::string Waiting() { return server_.Command({"XLEN", "cacheapi:writes"}); }
  void AllApplied() {
    ASSERT_TRUE(RunUntil([&] { return Waiting() == "0"; }));
  }
  absl::Status Acknowledged(Node& node, const std::string& brand = "acme") {
    const auto write = WriteAt(node, "", brand);
    EXPECT_TRUE(RunUntil([&] { return write->ended; }));
    EXPECT_EQ(write->version.value_or(kVersionUnknown), kVersionUnknown);
    return write->version.status();
  }

  redis::TestServer server_;
};

TEST_F(WriteQueueTest, WithAGateTakesAndEndsWhenItIsTold) {
  Node& node = StartQueue(Options());
  gate_.Watch("acme");
  const auto at = [&](Step step) { return RunUntil([&] { return HeldAt("feed") == step; }); };
  ASSERT_TRUE(at(Step::kTake));
  const auto write = WriteAt(node, "W");
  Go("W", Step::kEnqueue);
  ASSERT_TRUE(RunUntil([&] { return HeldAt("W") == Step::kAnswer; }));
  EXPECT_EQ(Waiting(), "1");
  for (int died = 0; died < 2; ++died) {
    // It may not have its turn yet.
    ASSERT_TRUE(RunUntil([&] {
      if (HeldAt("feed") == Step::kTake) gate_.Go("feed");
      return HeldAt("feed") == Step::kCommit;
    }));
    EXPECT_EQ(VersionOf("acme"), "1");
    if (died == 0) EXPECT_TRUE(gate_.Die("feed"));
  }
  for (const Step step : {Step::kCommit, Step::kApply, Step::kAck}) Go("feed", step);
  ASSERT_TRUE(at(Step::kTake));
  EXPECT_EQ(Waiting(), "0");
  EXPECT_EQ(VersionOf("acme"), "2");
  EXPECT_FALSE(write->ended);
  Go("W", Step::kAnswer);
  Ended(write);
}

TEST_F(WriteQueueTest, GoesOnByItselfWhenNothingIsWatchedAnyMore) {
  Node& node = StartQueue(Options());
  gate_.Watch("acme");
  ASSERT_TRUE(RunUntil([&] { return HeldAt("feed") == Step::kTake; }));
  EXPECT_TRUE(Acknowledged(node).ok());
  gate_.Watch("");
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "2");
}

TEST_F(WriteQueueTest, IsAcknowledgedFirstAndAppliedLater) {
  Node& node = StartQueue(Options(true, "worker"));
  EXPECT_EQ(VersionAt(node), 1u);
  ASSERT_TRUE(RunUntil([&] { return server_.Command({"EXISTS", CacheKey("acme", kDefaultWindow)}) == "1"; }));
  EXPECT_TRUE(Acknowledged(node).ok());
  ASSERT_TRUE(RunUntil([&] { return HeldAt("worker") == Step::kCommit; }));
  EXPECT_EQ(VersionAt(node), 1u) << "what write-behind gives up: not even its author sees it";
  EXPECT_EQ(Waiting(), "1");
  Go("worker", Step::kCommit);
  AllApplied();
  EXPECT_EQ(VersionAt(node), 2u) << "and then the cache was told";
  ASSERT_TRUE(RunUntil([&] { return node.Metric("cacheapi_write_queue_depth") == 0; }));
  EXPECT_EQ(node.Metric("cacheapi_write_queue_applied_total"), 1);
}

TEST_F(WriteQueueTest, DepthAndAgeAreSeen) {
  Node& node = StartQueue(Options(false));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Acknowledged(node).ok());
  ASSERT_TRUE(RunUntil([&] {
    return node.Metric("cacheapi_write_queue_depth") == 3 && node.Metric("cacheapi_write_queue_age_seconds") > 0.1;
  }));
}

TEST_F(WriteQueueTest, ARedisThatMayForgetIsRefusedInPlainWords) {
  Node& node = StartQueue(Options());
  EXPECT_TRUE(Acknowledged(node).ok());
  server_.Command({"CONFIG", "SET", "appendfsync", "everysec"});
  ASSERT_TRUE(RunUntil([&] { return !node.queue->durable().ok(); })) << "it is asked for now and then";
  const absl::Status refused = Acknowledged(node);
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("it needs appendfsync always"));
  EXPECT_EQ(node.Metric("cacheapi_write_queue_durable"), 0);
  server_.Command({"CONFIG", "SET", "appendfsync", "always"});
  ASSERT_TRUE(RunUntil([&] { return node.queue->durable().ok(); }));
  EXPECT_TRUE(Acknowledged(node).ok());
}

TEST_F(WriteQueueTest, WithoutALogNothingIsTaken) {
  Node& node = StartNode(AllReads(), Writes(WritePattern::kWriteBehind));  // on the server without persistence
  node.Queue(Options());
  ASSERT_TRUE(RunUntil([&] { return absl::IsFailedPrecondition(node.queue->durable()); }));
  EXPECT_THAT(std::string(Acknowledged(node).message()), HasSubstr("appendonly yes, appendfsync always"));
}

// Race 19: acknowledged, and Redis dies before it is applied.
TEST_F(WriteQueueTest, OutlivesRedis) {
  Node& node = StartQueue(Options(false));
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(Acknowledged(node).ok());
  server_.Kill();
  ASSERT_TRUE(RunUntil([&] { return absl::IsUnavailable(node.queue->durable()); }));
  EXPECT_EQ(Acknowledged(node).code(), absl::StatusCode::kUnavailable);
  server_.Start();
  StartQueue(Options());
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "21");
  EXPECT_EQ(postgres_->Query("SELECT posts FROM correction WHERE brand_id = 'acme'"), "20");
}

// Race 19: acknowledged, taken by a worker, and that dies.
TEST_F(WriteQueueTest, OutlivesItsWorker) {
  Node& dying = StartQueue(Options(true, "worker"));
  EXPECT_TRUE(Acknowledged(dying).ok());
  ASSERT_TRUE(RunUntil([&] { return HeldAt("worker") == Step::kCommit; }));
  gate_.Die("worker");
  nodes_.clear();
  EXPECT_EQ(Waiting(), "1");
  Node& other = StartQueue(Options());
  EXPECT_TRUE(Acknowledged(other).ok());
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "3");
  EXPECT_EQ(other.Metric("cacheapi_write_queue_taken_over_total"), 1);
}

// The transaction has committed, and the worker dies before it says so to the queue; or was paused and goes on.
TEST_F(WriteQueueTest, IsAppliedOnceHoweverOftenItIsTaken) {
  Node& paused = StartQueue(Options(true, "worker"));
  EXPECT_TRUE(Acknowledged(paused).ok());
  ASSERT_TRUE(RunUntil([&] { return HeldAt("worker") == Step::kCommit; }));
  std::optional<absl::StatusOr<uint64_t>> applied;
  origin_->Write({"acme", 1, "", "request 1"}, [&](absl::StatusOr<uint64_t> version) { applied = version; });
  ASSERT_TRUE(RunUntil([&] { return applied.has_value(); }));
  EXPECT_EQ(**applied, 2u);
  EXPECT_TRUE(Acknowledged(paused).ok());  // the next one of this brand
  origin_->Write({"acme", 2, "", "request 2"}, [&](absl::StatusOr<uint64_t> version) { applied = version; });
  ASSERT_TRUE(RunUntil([&] { return VersionOf("acme") == "3"; }));
  Go("worker", Step::kCommit);  // an old one, behind a newer one
  Go("worker", Step::kCommit);
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "3");
  EXPECT_EQ(postgres_->Query("SELECT posts FROM correction WHERE brand_id = 'acme'"), "2");
}

// A paused worker asks for entries, and its command comes to Redis after its turn has passed to another.
TEST_F(WriteQueueTest, WhoHasLostItsTurnIsGivenNothing) {
  Node& paused = StartQueue(Options());
  RunFor(Millis(50));
  server_.Command({"SET", "cacheapi:writes:turn", "another", "PX", "5000"});
  EXPECT_TRUE(Acknowledged(paused).ok());
  RunFor(Millis(100));
  EXPECT_EQ(Waiting(), "1");
  EXPECT_EQ(server_.Command({"XPENDING", "cacheapi:writes", "appliers"}).substr(0, 1), "0");
  server_.Command({"DEL", "cacheapi:writes:turn"});
  AllApplied();
}

TEST_F(WriteQueueTest, KeepsTheOrderOfABrandThroughChangesOfWorker) {
  Node& first = StartQueue(Options());
  StartQueue(Options());
  std::vector<std::shared_ptr<Outcome>> writes;
  for (int i = 0; i < 150; ++i) writes.push_back(WriteAt(first, "", i % 2 == 0 ? "acme" : "other"));
  ASSERT_TRUE(RunUntil([&] { return writes.back()->ended; }));
  nodes_.erase(nodes_.begin());  // with what it has taken
  Node& third = StartQueue(Options());
  for (int i = 0; i < 50; ++i) writes.push_back(WriteAt(third, "", "acme"));
  ASSERT_TRUE(RunUntil([&] { return writes.back()->ended; }));
  AllApplied();
  for (const auto& write : writes) EXPECT_TRUE(write->version.ok()) << write->version.status();
  EXPECT_EQ(VersionOf("acme"), "126");
  EXPECT_EQ(VersionOf("other"), "76");
  EXPECT_EQ(postgres_->Query("SELECT string_agg(brand_id || ' ' || posts, ', ' ORDER BY brand_id) FROM correction"),
            "acme 200, other 150");
  EXPECT_EQ(postgres_->Query("SELECT count(*) FROM applied_write a JOIN applied_write b ON a.brand_id = b.brand_id AND "
                             "substr(a.request_id, 9)::int < substr(b.request_id, 9)::int AND a.version > b.version"),
            "0");
}

TEST_F(WriteQueueTest, WhatTheDatabaseWillNotHaveHoldsNobodyUp) {
  Node& node = StartQueue(Options(false));
  EXPECT_TRUE(Acknowledged(node, "nobody").ok());
  EXPECT_TRUE(Acknowledged(node, "acme").ok());
  bool appended = false;  // a request id that the table refuses
  node.queue->Append({"acme", 1, "", std::string(200, 'x')},
                     [&](const absl::Status& status) { appended = status.ok(); });
  ASSERT_TRUE(RunUntil([&] { return appended; }));
  EXPECT_TRUE(Acknowledged(node, "acme").ok());
  server_.Command({"XADD", "cacheapi:writes", "*", "hello", "world"});
  Node& worker = StartQueue(Options());
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "3");
  ASSERT_TRUE(RunUntil([&] { return worker.Metric("cacheapi_write_queue_refused_total") == 3; }));
  EXPECT_EQ(worker.Metric("cacheapi_write_queue_applied_total"), 2);
  EXPECT_EQ(server_.Command({"XLEN", "cacheapi:writes:refused"}), "3");
}

// A client has sent it before, to a process that writes at once and has given it up there: once, and behind its batch.
TEST_F(WriteQueueTest, WhatWasGivenUpElsewhereIsAppliedAllTheSame) {
  postgres_->Query("INSERT INTO applied_write (request_id, brand_id, version) VALUES ('request 1', 'acme', -5)");
  Node& node = StartQueue(Options());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Acknowledged(node).ok());
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "4");
  EXPECT_EQ(postgres_->Query("SELECT version > 1 FROM applied_write WHERE request_id = 'behind fence 5'"), "t");
  EXPECT_EQ(server_.Command({"EXISTS", "cacheapi:writes:refused"}), "0");
}

// The same, for ever: it needs another id, and nobody waits for it.
TEST_F(WriteQueueTest, WhatWasGivenUpTooOftenHoldsNobodyUp) {
  postgres_->Query(
      "INSERT INTO applied_write (request_id, brand_id, version) SELECT CASE n WHEN 1 THEN 'request 1' ELSE 'behind "
      "fence ' || n - 1 END, 'acme', -n FROM generate_series(1, 65) AS n");
  Node& node = StartQueue(Options());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Acknowledged(node).ok());
  AllApplied();
  EXPECT_EQ(VersionOf("acme"), "3");
  ASSERT_TRUE(RunUntil([&] { return node.Metric("cacheapi_write_queue_refused_total") == 1; }));
}

TEST_F(WriteQueueTest, IsBounded) {
  WriteQueue::Options options = Options(false);
  options.most_waiting = 5;
  Node& node = StartQueue(options);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Acknowledged(node).ok());
  EXPECT_EQ(Acknowledged(node).code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(WriteQueueTest, IsAppliedAgainUntilTheCacheHasBeenTold) {
  Node& node = StartQueue(Options());
  node.Arm("redis.script.before", "error operation=delete times=2");
  EXPECT_EQ(VersionAt(node), 1u);
  EXPECT_TRUE(Acknowledged(node).ok());
  AllApplied();
  EXPECT_EQ(node.Metric("cacheapi_write_queue_failures_total"), 2);
  EXPECT_EQ(VersionOf("acme"), "2");
  EXPECT_EQ(VersionAt(node), 2u);
}

}  // namespace
}  // namespace lab::cacheapi
