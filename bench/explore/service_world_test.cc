#include "bench/explore/service_world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "bench/explore/explorer.h"
#include "bench/explore/matrix.h"
#include "bench/observe/http_get.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/pg/test_server.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench::explore {
namespace {

using ::testing::HasSubstr;

int FreePort() {
  redis::TestServer probe;  // finds one, and leaves it
  return probe.port();
}

// The built program, with a gate.
class Api {
 public:
  Api(int redis_port, const pg::TestServer& postgres, const std::map<std::string, std::string>& set)
      : port_(FreePort()) {
    folder_ = (std::filesystem::temp_directory_path() / "lab-explore-XXXXXX").string();
    if (mkdtemp(folder_.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    std::map<std::string, std::string> config = {
        {"http.port", Concat(port_)},
        {"grpc.enabled", "false"},
        {"redis.port", Concat(redis_port)},
        {"postgres.port", Concat(postgres.port())},
        {"postgres.user", postgres.user()},
        {"postgres.database", postgres.database()},
        {"gate.enabled", "true"},
        {"l1.enabled", "false"},
        {"fill", "plain"},
        {"l2.ttl", "1h"},
        {"l2.lease", "1h"},
        {"l2.tombstone", "1h"},
        {"writes.connections", "4"},
        {"write.second_delete", "1ms"},
    };
    for (const auto& [key, value] : set) config[key] = value;
    std::ofstream file(folder_ + "/config.yaml");
    for (const auto& [key, value] : config) file << key << ": " << value << "\n";
    file.close();
    pid_ = fork();
    if (pid_ == 0) {
      if (freopen((folder_ + "/log").c_str(), "w", stdout) == nullptr) _exit(126);
      dup2(1, 2);
      execl(LAB_CACHEAPI, "cacheapi", "--config", (folder_ + "/config.yaml").c_str(), nullptr);
      _exit(127);
    }
    for (int i = 0; i < 500; ++i) {
      const auto ready = HttpGet("127.0.0.1", port_, "/readyz", Millis(100));
      if (ready.ok() && ready->status == 200) return;
      std::this_thread::sleep_for(Millis(10));
    }
    std::ifstream log(folder_ + "/log");
    throw std::runtime_error(std::string(std::istreambuf_iterator<char>(log), {}));
  }
  ~Api() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  int port() const { return port_; }

 private:
  const int port_;
  std::string folder_;
  pid_t pid_ = -1;
};

class ServiceWorldTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (postgres_ != nullptr || !pg::TestServer::WhyNone().empty()) return;
    postgres_ = new pg::TestServer({"max_slot_wal_keep_size=64MB"});  // these end with the process
    redis_ = new redis::TestServer();
    durable_ = new redis::TestServer({"--appendonly", "yes", "--appendfsync", "always"});
    postgres_->Query(ReadFile(LAB_SOURCE_DIR "/deploy/sql/insights/001_insights.sql").value());
  }
  void SetUp() override {
    if (postgres_ == nullptr) GTEST_SKIP() << pg::TestServer::WhyNone();
  }

  // Of `replicas` processes so configured.
  Explored In(const std::map<std::string, std::string>& set, std::vector<std::string> casts, int replicas = 1) {
    apis_.clear();
    const auto value = [&](const char* key) { return set.count(key) > 0 ? set.at(key) : std::string(); };
    const int redis = (value("write.pattern") == "write_behind" ? durable_ : redis_)->port();
    for (int i = 0; i < replicas; ++i) apis_.push_back(std::make_unique<Api>(redis, *postgres_, set));
    const bool local = value("l1.enabled") == "true";
    const bool asks = local || value("fill") == "both" || value("fill") == "singleflight";
    const FeedKind feed = value("write.pattern") == "write_behind" ? FeedKind::kQueue
                          : value("invalidation") == "outbox"      ? FeedKind::kOutbox
                          : value("invalidation") == "cdc"         ? FeedKind::kLog
                                                                   : FeedKind::kNone;
    const bool pushes = local && value("l1.tracking") != "false";
    Explored explored;
    for (const std::string& cast : casts) explored.casts.push_back(*ParseCast(cast));
    explored.by_version = value("write.pattern") == "versioned_set" || value("write.pattern") == "bury";
    explored.world = [this, asks, feed, pushes, redis](const Cast& cast) {
      ServiceWorld::Options options;
      for (const auto& api : apis_) options.http_ports.push_back(api->port());
      options.redis_port = redis;
      options.postgres_port = postgres_->port();
      options.login = {postgres_->user(), postgres_->database(), "explorer"};
      options.cast = cast;
      options.asks = asks;
      options.feed = feed;
      options.pushes = pushes;
      options.prefix = Concat("x", ++worlds_, "-");
      return std::make_unique<ServiceWorld>(options);
    };
    return explored;
  }
  // The races that all schedules of these casts run into; prints what was found.
  std::set<int> Races(const std::map<std::string, std::string>& set, std::vector<std::string> casts, int replicas = 1) {
    found_ = Explore(In(set, std::move(casts), replicas));
    EXPECT_EQ(found_.problem, "");
    for (const CastExplored& cast : found_.casts) {
      printf("  %s: %d schedules, %d infeasible, %d offending, %d late, %.2f s\n", cast.cast.c_str(),
             static_cast<int>(cast.schedules), static_cast<int>(cast.infeasible), static_cast<int>(cast.offending),
             static_cast<int>(cast.late), cast.seconds);
      EXPECT_TRUE(cast.all);
      EXPECT_EQ(cast.deadlocks, 0u);
    }
    std::set<int> races;
    for (const RaceFound& race : found_.races) {
      races.insert(race.race);
      printf("  race %d, %s (%d): %s\n    %s\n", race.race, race.name.c_str(), static_cast<int>(race.schedules),
             race.offence.c_str(), race.schedule.c_str());
      for (const std::string& line : race.diagram) printf("      %s\n", line.c_str());
    }
    return races;
  }

  static inline pg::TestServer* postgres_ = nullptr;
  static inline redis::TestServer *redis_ = nullptr, *durable_ = nullptr;
  static inline int worlds_ = 0;
  std::vector<std::unique_ptr<Api>> apis_;
  Exploration found_;
};

using Set = std::set<int>;

TEST_F(ServiceWorldTest, ALeaseLeavesOnlyTheDeadWriter) {
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "delete_after_commit"}}, {"R W evict die"}), (Set{4}));
  EXPECT_EQ(found_.races[0].schedule, "R:get R:select R:set W:commit W:die");
}

TEST_F(ServiceWorldTest, DeleteBeforeUpdateIsRaceTwo) {
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "delete_before"}}, {"R W"}), (Set{2}));
  EXPECT_EQ(found_.races[0].schedule, "W:delete R:get R:select R:set W:commit");
  EXPECT_EQ(found_.races[0].offence, "at rest L2 serves v1, the database has v2");
}

TEST_F(ServiceWorldTest, APlainFillLosesToADelete) {
  EXPECT_EQ(Races({{"write.pattern", "delete_after_commit"}}, {"R W"}), (Set{1}));
  // C(5,2) = 10 merges when the read misses; hits end earlier.
  EXPECT_EQ(found_.casts[0].schedules, 10u);
}

TEST_F(ServiceWorldTest, WritersThatLockARowBlockEachOther) {
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "delete_in_transaction"}}, {"W1 W2"}), (Set{}));
  EXPECT_EQ(found_.casts[0].schedules, 1u) << "one after the other; the mirror image is left out";
  EXPECT_EQ(found_.casts[0].infeasible, 2u);
}

TEST_F(ServiceWorldTest, WhoDiesInATransactionLeavesNoLock) {
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "delete_in_transaction"}}, {"W1 W2 die"}), (Set{}));
  EXPECT_GT(found_.casts[0].schedules, 2u);
}

TEST_F(ServiceWorldTest, TwoWritersWhoSet) {
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "set_after_commit"}}, {"W1 W2"}), (Set{3}));
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "versioned_set"}}, {"W1 W2", "R W"}), (Set{}));
}

TEST_F(ServiceWorldTest, ASecondDeleteComesTooLate) {
  EXPECT_EQ(Races({{"write.pattern", "double_delete"}}, {"R W"}), (Set{1, 2, 24}));
  EXPECT_EQ(Races({{"fill", "lease"}, {"write.pattern", "double_delete"}}, {"R W"}), (Set{2}));
}

TEST_F(ServiceWorldTest, ReadersWhoJoinALoadDoNotReadThePast) {
  EXPECT_EQ(Races({{"fill", "both"}, {"write.pattern", "delete_after_commit"}}, {"R1 R2 W"}), (Set{}));
  EXPECT_GT(found_.casts[0].schedules, 400u);
}

TEST_F(ServiceWorldTest, AnotherReplicaIsNotTold) {
  const Set races = Races({{"fill", "both"}, {"write.pattern", "delete_after_commit"}}, {"R1@1 R2@1 W"}, 2);
  EXPECT_EQ(races, (Set{10}));
}

const std::map<std::string, std::string> kOutbox = {{"fill", "lease"}, {"invalidation", "outbox"}};
const std::map<std::string, std::string> kLog = {{"fill", "lease"}, {"invalidation", "cdc"}, {"cdc.retry", "50ms"}};
const std::map<std::string, std::string> kQueue = {{"fill", "lease"}, {"write.pattern", "write_behind"}};

// Whoever dies behind the commit: the writer before its answer, the relay before it has told or has ended its batch.
TEST_F(ServiceWorldTest, AnOutboxLeavesNothingStale) {
  EXPECT_EQ(Races(kOutbox, {"R W", "R W die", "R W feed:die"}), (Set{}));
  EXPECT_GT(found_.casts[0].late, 0u) << "until it has told";
}

// The same fill without a lease: the feed tells of the commit, and the fill from before it stores all the same.
TEST_F(ServiceWorldTest, AnOutboxDoesNotMendAPlainFill) {
  EXPECT_EQ(Races({{"fill", "plain"}, {"invalidation", "outbox"}}, {"R W"}), (Set{1}));
}

TEST_F(ServiceWorldTest, TheLogLeavesNothingStale) {
  EXPECT_EQ(Races(kLog, {"R W die", "W1 W2", "R W feed:die"}), (Set{}));
  EXPECT_GT(found_.casts[0].late, 0u);
}

TEST_F(ServiceWorldTest, AQueueLosesNothing) {
  EXPECT_EQ(Races(kQueue, {"R W", "W feed:die"}), (Set{}));
  EXPECT_GT(found_.casts[0].late, 0u) << "acknowledged before it is committed";
}

const std::map<std::string, std::string> kLocal = {
    {"fill", "both"}, {"l1.enabled", "true"}, {"l1.ttl", "1h"}, {"l1.tracking_silence", "10s"}};

TEST_F(ServiceWorldTest, AnotherReplicasL1IsToldByRedis) {
  EXPECT_EQ(Races(kLocal, {"R@1 W"}, 2), (Set{}));
  EXPECT_GT(found_.casts[0].schedules, 50u);
}

TEST_F(ServiceWorldTest, AnL1ThatIsToldNothingKeepsTheOldValue) {
  std::map<std::string, std::string> alone = kLocal;
  alone["l1.tracking"] = "false";
  alone["fill"] = "lease";
  EXPECT_EQ(Races(alone, {"R@1 W die"}, 2), (Set{4, 13}));
}

TEST_F(ServiceWorldTest, WhatDoesNotExistYetMayBeStored) {
  EXPECT_EQ(Races({{"fill", "plain"}}, {"R N"}), (Set{12}));
  EXPECT_EQ(Races({{"fill", "lease"}}, {"R N"}), (Set{}));
}

TEST_F(ServiceWorldTest, AReaderThatDiesHoldsItsLeaseUntilItsEnd) {
  EXPECT_EQ(Races({{"fill", "lease"}}, {"R1 R2 R1:die", "R W expire R:die"}), (Set{}));
}

TEST_F(ServiceWorldTest, ReplaysOneSchedule) {
  const Explored explored = In({{"fill", "lease"}, {"write.pattern", "delete_before"}}, {});
  const absl::StatusOr<Exploration> found =
      ReplayOne(explored, *ParseSchedule("W:delete R:get R:select R:set W:commit"));
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->races.size(), 1u);
  EXPECT_EQ(found->races[0].race, 2);
  EXPECT_THAT(found->replayed.back(), HasSubstr("commit v2 => v2"));
  const absl::StatusOr<Exploration> mirror =
      ReplayOne(explored, *ParseSchedule("R2:get R2:select R2:set R1:get W:delete W:commit"));
  ASSERT_TRUE(mirror.ok()) << mirror.status();
  EXPECT_TRUE(mirror->races.empty());
  const absl::Status wrong = ReplayOne(explored, *ParseSchedule("W:commit")).status();
  EXPECT_THAT(std::string(wrong.message()), HasSubstr("W:commit, cannot be made there; what can: W:delete"));
}

}  // namespace
}  // namespace lab::bench::explore
