#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/feed/change_feed.h"
#include "services/cacheapi/feed/outbox_relay.h"
#include "services/cacheapi/feed/tracking.h"
#include "services/cacheapi/testing/paths_fixture.h"
#include "services/cacheapi/write/write_queue.h"
#include "services/runtime/failpoint/controller.h"

namespace lab::cacheapi {

// Whole processes, each with connections of its own, on one Redis and one PostgreSQL, whose slots are bounded.
class FeedsTest : public PathsTest {
 protected:
  struct Node {
    Node(FeedsTest& t, const redis::Options& server, const Reader::Options& reads, const Writer::Options& writes,
         uint64_t s)
        : test(t),
          redis_options(server),
          seed(s),
          failpoints(test.loop_, metrics, s),
          redis(test.loop_, server, metrics, &failpoints),
          shared(redis, *test.clock_, SharedCache::Options{}, metrics, s),
          local(LocalCache::Options{}),
          flights(SingleFlight::Options{}),
          reader({test.loop_, local, &shared, *test.origin_, flights, &test.gate_}, reads, metrics, s),
          writer({test.loop_, *test.origin_, &shared, &test.gate_,
                  [this](std::string_view brand, uint64_t version) { reader.Invalidate(brand, version); },
                  [this](const Correction& correction, absl::AnyInvocable<void(absl::Status)> done) {
                    queue->Append(correction, std::move(done));
                  }},
                 writes, metrics) {}
    ~Node() {
      redis.Close();  // what they execute is of those below
      if (pool) pool->Close();
      queue.reset();
      feed.reset();
      relay.reset();
      tracking.reset();
    }

    void Track(Tracking::Options options = {Millis(20), Millis(400)}) {
      tracking.emplace(test.loop_, redis, redis_options, shared, reader, options, metrics, seed);
      tracking->HoldAt(&test.gate_);
    }
    ApplyChange Applying(const std::string& actor) {
      return [this, actor](std::string_view brand, uint64_t version, absl::AnyInvocable<void(absl::Status)> done) {
        writer.Apply(brand, version, actor, std::move(done));
      };
    }
    pg::Client& Pool() {
      if (!pool) pool.emplace(test.loop_, PathsTest::Pool("pg_feed", 1), metrics);
      return *pool;
    }
    void Relay(const std::string& actor = "", OutboxRelay::Options options = {}) {
      relay.emplace(test.loop_, Pool(), redis, Applying(actor), options, metrics);
      relay->HoldAt(&test.gate_);
    }
    void Feed(const std::string& actor = "", ChangeFeed::Options options = {}) {
      options.slot = "test_feed";
      options.retry_min = Millis(10);
      options.retry_max = Millis(60);
      options.confirm_every = Millis(20);
      database = PathsTest::Pool("pg_feed", 1);
      feed.emplace(ChangeFeed::Parts{test.loop_, Pool(), database, redis, Applying(actor),
                                     [this] { reader.ForgetAll(); }, metrics},
                   options);
    }
    void Queue(WriteQueue::Options options = {}) {
      queue.emplace(WriteQueue::Parts{test.loop_, redis, *test.origin_, &test.gate_, Applying("")}, options, metrics,
                    seed);
    }
    double Metric(const std::string& series) const {
      std::istringstream lines(metrics.Text());
      for (std::string line; std::getline(lines, line);) {
        if (line.rfind(series + " ", 0) == 0) return std::stod(line.substr(series.size() + 1));
      }
      ADD_FAILURE() << "no series " << series;
      return -1;
    }
    void Arm(const std::string& name, std::string_view text) {
      const failpoint::Point& point = **failpoint::FindPoint(name);
      const absl::StatusOr<failpoint::Spec> spec = failpoint::ParseSpecText(point, text);
      ASSERT_TRUE(spec.ok()) << spec.status();
      failpoints.Arm(point, *spec);
    }

    FeedsTest& test;
    const redis::Options redis_options;
    const uint64_t seed;
    obs::Metrics metrics;
    failpoint::Controller failpoints;
    redis::Client redis;
    SharedCache shared;
    LocalCache local;
    SingleFlight flights;
    Reader reader;
    Writer writer;
    pg::Options database;
    std::optional<pg::Client> pool;
    std::optional<Tracking> tracking;
    std::optional<OutboxRelay> relay;
    std::optional<ChangeFeed> feed;
    std::optional<WriteQueue> queue;
  };

  static void SetUpTestSuite() {
    if (postgres_ != nullptr || !pg::TestServer::WhyNone().empty()) return;
    postgres_ = new pg::TestServer({"max_slot_wal_keep_size=8MB"});  // these end with the process
    redis_server_ = new redis::TestServer();
    const absl::StatusOr<std::string> schema = ReadFile(LAB_SOURCE_DIR "/deploy/sql/insights/001_insights.sql");
    postgres_->Query(schema.value());
    postgres_->Query("INSERT INTO brand VALUES ('acme', 'Acme')");
    postgres_->Query("INSERT INTO brand_state (brand_id) VALUES ('acme')");
  }
  ~FeedsTest() override {
    gate_.Open();
    nodes_.clear();
    RunFor(Millis(1));
  }

  Node& StartNode(const Reader::Options& reads, const Writer::Options& writes = {}, int port = 0,
                  Nanos reconnect = Millis(10)) {
    redis::Options server;
    server.port = port != 0 ? port : redis_server_->port();
    server.deadline = Millis(2000);
    server.connect_timeout = Millis(1000);
    server.reconnect_min = reconnect;
    server.reconnect_max = std::max<Nanos>(reconnect, Millis(50));
    nodes_.push_back(std::make_unique<Node>(*this, server, reads, writes, ++seed_));
    Node& node = *nodes_.back();
    EXPECT_TRUE(RunUntil([&] { return node.redis.connected(); }));
    return node;
  }
  Node& StartTracked(Nanos reconnect = Millis(10)) {
    Node& node = StartNode(AllReads(), Writes(WritePattern::kDeleteAfterCommit), 0, reconnect);
    node.Track();
    EXPECT_TRUE(RunUntil([&] { return node.tracking->on(); }));
    return node;
  }
  // All of it; L1 keeps for longer than any test.
  static Reader::Options AllReads() {
    Reader::Options options;
    options.local_ttl = std::chrono::hours(1);
    return options;
  }
  static Writer::Options SilentWrites() {
    Writer::Options options;
    options.tells_cache = false;
    return options;
  }

  std::shared_ptr<Outcome> ReadAt(Node& node, const std::string& actor = "") {
    auto outcome = std::make_shared<Outcome>();
    node.reader.Get({"acme", kDefaultWindow, Clock::now() + std::chrono::seconds(8), actor}, [outcome](Answer answer) {
      outcome->answer = std::move(answer);
      outcome->ended = true;
    });
    return outcome;
  }
  std::shared_ptr<Outcome> WriteAt(Node& node, const std::string& actor = "", const std::string& brand = "acme") {
    auto outcome = std::make_shared<Outcome>();
    ++corrections_;
    node.writer.Write({brand, corrections_, "", "request " + std::to_string(corrections_)}, actor,
                      [outcome](absl::StatusOr<uint64_t> version) {
                        outcome->version = std::move(version);
                        outcome->ended = true;
                      });
    return outcome;
  }
  // What a reader gets now, and how.
  std::pair<uint64_t, std::string> Got(Node& node) {
    const auto outcome = ReadAt(node);
    EXPECT_TRUE(RunUntil([&] { return outcome->ended; }));
    EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
    return {outcome->answer.value.version, std::string(Name(outcome->answer.via))};
  }
  uint64_t VersionAt(Node& node) { return Got(node).first; }
  static uint64_t VersionThere() {
    return std::stoull(postgres_->Query("SELECT version FROM brand_state WHERE brand_id = 'acme'"));
  }
  bool InL2() { return redis_server_->Command({"EXISTS", CacheKey("acme", kDefaultWindow)}) == "1"; }
  // Read, and in every tier.
  void Fill(Node& node) {
    VersionAt(node);
    ASSERT_TRUE(RunUntil([&] { return InL2(); }));
    RunFor(Millis(10));
  }
  // Reads until the answer comes from L1.
  void Warm(Node& node) {
    for (int tries = 0; tries < 1000; ++tries) {
      if (Got(node).second == "l1") return;
      RunFor(Millis(1));
    }
    FAIL() << "never from L1";
  }
  // Somebody else altogether, by no process of ours.
  void WriteByHand() { postgres_->Query("UPDATE brand_state SET version = version + 1 WHERE brand_id = 'acme'"); }

  std::vector<std::unique_ptr<Node>> nodes_;
  uint64_t seed_ = 100;
};

}  // namespace lab::cacheapi
