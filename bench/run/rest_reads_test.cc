// What the cache-aside API has once nobody writes any more: the real one, over a real Redis and a real PostgreSQL.
#include "bench/run/rest_reads.h"

#include <filesystem>

#include "bench/observe/http_get.h"
#include "bench/observe/pg_wire.h"
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
using ::testing::IsEmpty;

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
  void Read(int replica, const std::string& brand) {
    const absl::StatusOr<HttpAnswer> answer =
        HttpGet("127.0.0.1", Port(replica), Concat("/v1/brands/", brand, "/insights?window=7d"), kTime);
    ASSERT_TRUE(answer.ok()) << answer.status();
    ASSERT_EQ(answer->status, 200) << answer->body;
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
  for (const int replica : {0, 1}) Read(replica, "brand-3");
  Read(0, "brand-4");
  for (const char* brand : {"brand-3", "brand-4", "brand-5"}) WriteBehindItsBack(brand);
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->why, "");
  EXPECT_EQ(rest->written, 3u);
  EXPECT_EQ(rest->asked, 3u);
  std::map<std::string, uint64_t> versions;
  for (const RestRead& read : rest->reads) {
    EXPECT_EQ(read.there, 2u);
    versions[Concat(read.place, " ", read.key)] = read.version;
  }
  EXPECT_EQ(versions, (std::map<std::string, uint64_t>{{"redis brand-3 window=7d", 1},
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
  ASSERT_EQ(rest->reads.size(), 2u) << "the first replica loads it only when it is asked";
  EXPECT_EQ(rest->reads[0].version, 2u);
  EXPECT_EQ(rest->reads[1].version, 1u);
  EXPECT_EQ(rest->reads[1].how, Answer::kHitLocal);
}

TEST_F(RestReadsTest, WhatCannotBeAskedIsSaid) {
  WriteBehindItsBack("brand-3");
  system_->Find("cacheapi", 1)->Stop(Millis(500));
  const std::optional<AtRest> rest = system_->ReadAtRest(lab_.load);
  EXPECT_THAT(rest->why, ::testing::HasSubstr("cacheapi-1, brand-3 window=7d"));
  system_->Find("postgres", 0)->Stop(Millis(500));
  EXPECT_THAT(system_->ReadAtRest(lab_.load)->why, ::testing::HasSubstr("the database does not say"));
}

TEST(EntryHeadTest, IsReadAsTheServiceWritesIt) {
  std::string entry("LC\1\0", 4);
  const uint64_t version = 0x0102030405;
  const int64_t written = 1, fresh = 1'700'000'000'123;
  entry.append(reinterpret_cast<const char*>(&version), 8);
  entry.append(reinterpret_cast<const char*>(&written), 8);
  entry.append(reinterpret_cast<const char*>(&fresh), 8);
  entry.append(20, '\0');
  uint64_t read = 0;
  int64_t until = 0;
  ASSERT_TRUE(ReadEntryHead(entry, &read, &until));
  EXPECT_EQ(read, version);
  EXPECT_EQ(until, fresh);
  for (const std::string& none : {std::string(), entry.substr(0, 47), "LT" + entry.substr(2), std::string(60, 'x')}) {
    EXPECT_FALSE(ReadEntryHead(none, &read, &until));
  }
}

}  // namespace
}  // namespace lab::bench
