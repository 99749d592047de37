// What the cache-aside API has once nobody writes any more: the real one, over a real Redis and a real PostgreSQL.
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "bench/observe/http_get.h"
#include "bench/observe/pg_wire.h"
#include "bench/observe/resp.h"
#include "bench/run/postgres_programs.h"
#include "bench/run/system.h"
#include "bench/run/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr Nanos kTime = std::chrono::seconds(5);

class RestReadsTest : public ::testing::Test {
 protected:
  RestReadsTest()
      : journal_(*Journal::Open(state_.path())),
        spawner_([this](pid_t pid, const std::string& name) { return journal_->Process(pid, name); }) {}

  void SetUp() override {
    if (const absl::Status there = FindPostgres("", "").status(); !there.ok()) GTEST_SKIP() << there.message();
    setenv("LAB_STATE", state_.path().c_str(), 1);
    fs::create_directories(state_.path() + "/deploy");
    fs::copy(fs::path(__FILE__).parent_path().parent_path().parent_path() / "deploy" / "sql",
             state_.path() + "/deploy/sql", fs::copy_options::recursive);
    PartSpec redis, postgres, service;
    redis.name = redis.kind = "redis";
    postgres.name = postgres.kind = "postgres";
    postgres.set = {{"databases", "insights"}, {"seed", "insights(brands=20, posts=200)"}};
    service.name = service.kind = "cacheapi";
    service.replicas = 2;
    service.set = {{"l1.ttl", "1h"}, {"l2.ttl", "1h"}, {"request.deadline", "5s"}, {"origin.deadline", "5s"}};
    lab_.system = {redis, postgres, service};
    LoadSpec load;
    load.name = "main";
    load.target = "cacheapi.mixed";
    load.request = {{"window", "7d"}, {"writes", "5%"}};
    lab_.load = {load};
    Start();
  }
  void Start() {
    system_.reset();
    system_ = std::make_unique<System>(
        lab_,
        System::Options{state_.path(), state_.path() + "/trial", state_.path() + "/data", {}, [] { return false; }},
        spawner_, *journal_);
    Progress silent;
    const absl::Status started = system_->Start(silent);
    ASSERT_TRUE(started.ok()) << started;
  }
  void TearDown() override { unsetenv("LAB_STATE"); }

  int Port(int replica) const { return system_->Find("cacheapi", replica)->port("http"); }
  void Read(int replica, const std::string& brand, const std::string& window = "7d") {
    const absl::StatusOr<HttpAnswer> answer =
        HttpGet("127.0.0.1", Port(replica), Concat("/v1/brands/", brand, "/insights?window=", window), kTime);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->status, 200) << answer->body;
  }
  // The number that it answers; -1: something else.
  int64_t Redis(const std::vector<std::string>& command) {
    RespConnection connection("127.0.0.1", system_->Find("redis", 0)->port("redis"));
    const absl::StatusOr<RespValue> reply = connection.Command(command, kTime);
    return reply.ok() && reply->kind == RespValue::Kind::kInteger ? reply->integer : -1;
  }
  // An answer may come before what it tells of is stored.
  void AwaitStored(const std::string& key) {
    ASSERT_TRUE(Eventually([&] { return Redis({"EXISTS", key}) == 1; })) << key;
  }
  using Versions = std::map<std::string, uint64_t>;  // place and key → version
  static Versions VersionsOf(const AtRest& rest) {
    Versions versions;
    for (const RestRead& read : rest.reads) versions[Concat(read.place, " ", read.key)] = read.version;
    return versions;
  }
  // Past the API: nobody tells its caches.
  void WriteBehindItsBack(const std::string& brand) {
    PgConnection connection("127.0.0.1", system_->Find("postgres", 0)->port("postgres"), {.database = "insights"});
    const auto written =
        connection.Query(Concat("UPDATE brand_state SET version = version + 1 WHERE brand_id = '", brand, "'"), kTime);
    ASSERT_TRUE(written.ok()) << written.status();
  }

  TemporaryFolder state_;
  Lab lab_;
  std::unique_ptr<Journal> journal_;
  Spawner spawner_;
  std::unique_ptr<System> system_;
};

TEST_F(RestReadsTest, IsAskedOfTheWholeSystem) {
  EXPECT_EQ(system_->Endpoints("cacheapi.mixed").size(), 2u);
  std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->written, 0u);
  EXPECT_EQ(rest->why, "");
  EXPECT_THAT(rest->reads, IsEmpty());
}

TEST_F(RestReadsTest, WhatIsOldIsFoundWhereItLies) {
  Read(0, "brand-3");
  AwaitStored("insights:{brand-3}:w=7d");
  Read(1, "brand-3");
  Read(0, "brand-4");
  AwaitStored("insights:{brand-4}:w=7d");
  for (const char* brand : {"brand-3", "brand-4", "brand-5"}) WriteBehindItsBack(brand);
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->why, "");
  EXPECT_EQ(rest->written, 3u);
  EXPECT_EQ(rest->asked, 3u);
  for (const RestRead& read : rest->reads) EXPECT_EQ(read.there, 2u);
  EXPECT_EQ(VersionsOf(*rest), (Versions{{"postgres brand-3", 2},
                                         {"postgres brand-4", 2},
                                         {"postgres brand-5", 2},
                                         {"redis brand-3 window=7d", 1},
                                         {"cacheapi-0 brand-3 window=7d", 1},
                                         {"cacheapi-1 brand-3 window=7d", 1},
                                         {"redis brand-4 window=7d", 1},
                                         {"cacheapi-0 brand-4 window=7d", 1},
                                         {"cacheapi-1 brand-4 window=7d", 1},
                                         {"cacheapi-0 brand-5 window=7d", 2},
                                         {"cacheapi-1 brand-5 window=7d", 2}}));
  EXPECT_THAT(rest->reads, Contains(Field(&RestRead::how, Answer::kHitLocal)));
}

TEST_F(RestReadsTest, WhatIsOnlyInOneProcessIsFoundToo) {
  lab_.system[2].set["l2.enabled"] = "false";
  lab_.system[2].set["fill"] = "singleflight";
  Start();
  Read(1, "brand-3");
  WriteBehindItsBack("brand-3");
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  EXPECT_EQ(
      VersionsOf(*rest),
      (Versions{{"postgres brand-3", 2}, {"cacheapi-0 brand-3 window=7d", 2}, {"cacheapi-1 brand-3 window=7d", 1}}))
      << "the first replica loads it only when it is asked";
  EXPECT_EQ(rest->reads.back().how, Answer::kHitLocal);
}

TEST_F(RestReadsTest, CopiesAndOtherWindowsAreFoundInRedis) {
  Read(0, "brand-3", "24h");
  AwaitStored("insights:{brand-3}:w=24h");
  EXPECT_EQ(Redis({"COPY", "insights:{brand-3}:w=24h", "insights:{brand-3#2}:w=7d"}), 1);
  WriteBehindItsBack("brand-3");
  const Versions versions = VersionsOf(*system_->ReadAtRest(lab_.load));
  EXPECT_THAT(versions, Contains(Pair("redis brand-3 window=24h", 1)));
  EXPECT_THAT(versions, Contains(Pair("redis brand-3 window=7d copy=2", 1)));
}

TEST_F(RestReadsTest, OfVersionedKeysTheVersionCounts) {
  lab_.system[2].set["key.versioned"] = "true";
  Start();
  Read(0, "brand-3");
  AwaitStored("version:{brand-3}");
  WriteBehindItsBack("brand-3");
  const Versions stale = VersionsOf(*system_->ReadAtRest(lab_.load));
  EXPECT_THAT(stale, Contains(Pair("redis brand-3 version", 1)));
  Start();  // nothing in any process
  Read(0, "brand-3");
  AwaitStored("version:{brand-3}");
  AwaitStored("insights:{brand-3}:w=7d:v=1");
  WriteBehindItsBack("brand-3");
  Redis({"DEL", "version:{brand-3}"});
  Read(1, "brand-3");
  AwaitStored("version:{brand-3}");
  AwaitStored("insights:{brand-3}:w=7d:v=2");
  const Versions left_behind = VersionsOf(*system_->ReadAtRest(lab_.load));
  EXPECT_THAT(left_behind, Contains(Pair("redis brand-3 version", 2)));
  EXPECT_THAT(left_behind, Contains(Pair("redis brand-3 window=7d", 2)));
  for (const auto& [place, version] : left_behind) {
    if (place.rfind("redis", 0) == 0) {
      EXPECT_EQ(version, 2u) << place;  // the entry of version 1 is there, and nobody's
    }
  }
}

TEST_F(RestReadsTest, WhatTheLoadWroteIsReadWhateverTheDatabaseSays) {
  Read(0, "brand-3");
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load, {{3, 5}, {4, 0}, {999, 2}});
  EXPECT_EQ(rest->written, 3u);
  EXPECT_EQ(VersionsOf(*rest), (Versions{{"postgres brand-3", 1},
                                         {"postgres brand-4", 1},
                                         {"postgres brand-999", 0},
                                         {"redis brand-3 window=7d", 1},
                                         {"cacheapi-0 brand-3 window=7d", 1},
                                         {"cacheapi-1 brand-3 window=7d", 1},
                                         {"cacheapi-0 brand-4 window=7d", 1},
                                         {"cacheapi-1 brand-4 window=7d", 1}}));
}

TEST_F(RestReadsTest, WhatIsOnItsWayIsAwaited) {
  lab_.system[2].set["l1.enabled"] = "false";
  Start();
  Read(0, "brand-3");
  AwaitStored("insights:{brand-3}:w=7d");
  WriteBehindItsBack("brand-3");
  std::thread late([this] {
    std::this_thread::sleep_for(Millis(400));
    WriteBehindItsBack("brand-4");
    Redis({"DEL", "insights:{brand-3}:w=7d"});
  });
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load, {{4, 2}});
  late.join();
  const Versions versions = VersionsOf(*rest);
  EXPECT_THAT(versions, Contains(Pair("postgres brand-4", 2)));
  for (const RestRead& read : rest->reads) EXPECT_EQ(read.version, read.there) << read.place << " " << read.key;
}

TEST_F(RestReadsTest, WhatCannotBeAskedIsSaid) {
  WriteBehindItsBack("brand-3");
  system_->Find("cacheapi", 1)->Stop(Millis(500));
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  EXPECT_THAT(rest->why, HasSubstr("cacheapi-1, brand-3 window=7d"));
  system_->Find("postgres", 0)->Stop(Millis(500));
  EXPECT_THAT(system_->ReadAtRest(lab_.load)->why, HasSubstr("the database does not say"));
}

}  // namespace
}  // namespace lab::bench
