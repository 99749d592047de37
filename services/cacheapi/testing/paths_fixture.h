#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/shared/store_clock.h"
#include "services/cacheapi/write/writer.h"
#include "services/runtime/async/loop_fixture.h"
#include "services/runtime/base/file.h"
#include "services/runtime/pg/test_server.h"
#include "services/runtime/redis/test_server.h"

namespace lab::cacheapi {

// Readers and writers on real parts, for the tests of this folder. One brand, "acme"; each test begins with version 1
// and an empty cache.
class PathsTest : public async::LoopTest {
 protected:
  // What of one process there is beside the stores: a second one shares only these with the first.
  struct Process {
    Process(PathsTest& test, const Reader::Options& reads, const Writer::Options& writes, const Reader::Modes& modes)
        : local(LocalCache::Options{}),
          flights(SingleFlight::Options{}),
          reader({test.loop_, local, &*test.shared_, *test.origin_, flights, &test.gate_, modes}, reads, metrics, 7),
          writer({test.loop_, *test.origin_, &*test.shared_, &test.gate_,
                  [this](std::string_view brand, uint64_t version) { reader.Invalidate(brand, version); }, nullptr,
                  modes.versions},
                 writes, metrics) {}
    obs::Metrics metrics;
    LocalCache local;
    SingleFlight flights;
    Reader reader;
    Writer writer;
  };

  static void SetUpTestSuite() {
    if (postgres_ != nullptr || !pg::TestServer::WhyNone().empty()) return;
    postgres_ = new pg::TestServer();  // these end with the process
    redis_server_ = new redis::TestServer();
    const absl::StatusOr<std::string> schema = ReadFile(LAB_SOURCE_DIR "/deploy/sql/insights/001_insights.sql");
    postgres_->Query(schema.value());
    postgres_->Query("INSERT INTO brand VALUES ('acme', 'Acme')");
    postgres_->Query("INSERT INTO brand_state (brand_id) VALUES ('acme')");
  }
  void SetUp() override {
    if (postgres_ == nullptr) GTEST_SKIP() << pg::TestServer::WhyNone();
    postgres_->Query(
        "UPDATE brand_state SET version = 1; DELETE FROM correction; DELETE FROM applied_write; DELETE FROM outbox");
    redis_server_->Command({"FLUSHALL"});
    redis::Options redis;
    redis.port = redis_server_->port();
    redis.deadline = Millis(2000);
    redis_.emplace(loop_, redis, metrics_);
    reads_.emplace(loop_, Pool("pg_read", 8), metrics_);
    writes_.emplace(loop_, Pool("pg_write", 4), metrics_);
    clock_.emplace(loop_, *redis_, metrics_);
    shared_.emplace(*redis_, *clock_, SharedCache::Options{}, metrics_, 7);
    origin_.emplace(*reads_, *writes_, Origin::Options{}, metrics_);
    ASSERT_TRUE(RunUntil(
        [&] { return redis_->connected() && reads_->connected() && writes_->connected() && clock_->known(); }));
  }
  ~PathsTest() override {
    gate_.Open();
    if (redis_) redis_->Close();
    if (reads_) reads_->Close();
    if (writes_) writes_->Close();
    RunFor(Millis(1));
    processes_.clear();
    clock_.reset();
  }

  static pg::Options Pool(const char* name, int connections) {
    pg::Options options;
    options.port = postgres_->port();
    options.user = postgres_->user();
    options.database = postgres_->database();
    options.name = name;
    options.connections = connections;
    options.group_max = options.groups_in_flight = 1;
    options.deadline = Millis(5000);
    return options;
  }

  Process& Start(const Reader::Options& reads, const Writer::Options& writes, const Reader::Modes& modes = {}) {
    processes_.push_back(std::make_unique<Process>(*this, reads, writes, modes));
    return *processes_.back();
  }

  // Actors begin, and are held at their steps.
  struct Outcome {
    bool ended = false;
    Answer answer;                                                       // of a reader
    absl::StatusOr<uint64_t> version = absl::UnknownError("not ended");  // of a writer
  };
  std::shared_ptr<Outcome> Read(Process& process, const std::string& actor) {
    auto outcome = std::make_shared<Outcome>();
    process.reader.Get({"acme", kDefaultWindow, Clock::now() + std::chrono::seconds(8), actor},
                       [outcome](Answer answer) {
                         outcome->answer = std::move(answer);
                         outcome->ended = true;
                       });
    return outcome;
  }
  std::shared_ptr<Outcome> Write(Process& process, const std::string& actor) {
    auto outcome = std::make_shared<Outcome>();
    process.writer.Write({"acme", ++corrections_, "", "request " + std::to_string(corrections_)}, actor,
                         [outcome](absl::StatusOr<uint64_t> version) {
                           outcome->version = std::move(version);
                           outcome->ended = true;
                         });
    return outcome;
  }
  // Waits for the actor to be held, which must be before this step, and lets it take the step.
  void Go(const std::string& actor, Step step) {
    ASSERT_TRUE(RunUntil([&] { return HeldAt(actor).has_value(); })) << actor << " never arrives before " << Name(step);
    ASSERT_EQ(Name(*HeldAt(actor)), Name(step)) << actor;
    gate_.Go(actor);
  }
  std::optional<Step> HeldAt(const std::string& actor) const {
    for (const StepGate::Held& held : gate_.held()) {
      if (held.actor == actor) return held.step;
    }
    return std::nullopt;
  }
  void Ended(const std::shared_ptr<Outcome>& outcome) {
    ASSERT_TRUE(RunUntil([&] { return outcome->ended; }));
  }

  // The version that a reader without a name gets at rest, and that of the database.
  uint64_t VersionRead(Process& process) {
    const auto outcome = Read(process, "");
    EXPECT_TRUE(RunUntil([&] { return outcome->ended; }));
    EXPECT_TRUE(outcome->answer.status.ok()) << outcome->answer.status;
    return outcome->answer.value.version;
  }
  // In L2, those that were refused among them.
  double Stores() {
    return Metric("cacheapi_shared_stores_total{outcome=\"stored\"}") +
           Metric("cacheapi_shared_stores_total{outcome=\"refused\"}");
  }
  uint64_t VersionThere() { return std::stoull(postgres_->Query("SELECT version FROM brand_state")); }

  static inline pg::TestServer* postgres_ = nullptr;
  static inline redis::TestServer* redis_server_ = nullptr;
  std::optional<redis::Client> redis_;
  std::optional<pg::Client> reads_, writes_;
  std::optional<StoreClock> clock_;
  std::optional<SharedCache> shared_;
  std::optional<Origin> origin_;
  StepGate gate_;
  std::vector<std::unique_ptr<Process>> processes_;
  int corrections_ = 0;
};

inline Reader::Options PlainReads() {
  Reader::Options options;
  options.local = options.single_flight = options.lease = false;
  return options;
}
inline Reader::Options LeasedReads() {
  Reader::Options options = PlainReads();
  options.lease = true;
  return options;
}
inline Writer::Options Writes(WritePattern pattern) {
  Writer::Options options;
  options.pattern = pattern;
  return options;
}

}  // namespace lab::cacheapi
