// The whole service with its modes, over HTTP; and which modes go together.
#include <signal.h>

#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/testing/modes_fixture.h"
#include "services/cacheapi/testing/settings_testing.h"
#include "services/cacheapi/wiring.h"
#include "services/runtime/obs/trace.h"

namespace lab::cacheapi {
namespace {

using ::testing::HasSubstr;
TEST(ModesConfigTest, WhatDoesNotGoTogetherIsSaid) {
  EXPECT_EQ(Wrong({}), "");
  EXPECT_THAT(Wrong({{"hot.enabled", "true"}}), HasSubstr("hot.copies"));
  EXPECT_EQ(Wrong({{"hot.enabled", "true"}, {"hot.copies", "4"}}), "");
  EXPECT_THAT(Wrong({{"hot.copies", "4"}, {"write.pattern", "versioned_set"}}), HasSubstr("hot.copies"));
  EXPECT_THAT(Wrong({{"key.versioned", "true"}, {"write.pattern", "bury"}}), HasSubstr("key.versioned"));
  const Sets alone = {{"l2.enabled", "false"}, {"fill", "singleflight"}, {"bloom.enabled", "true"}};
  EXPECT_THAT(Wrong(alone), HasSubstr("bloom.enabled"));
}

// A key stays hot down to half of the share: the sketch has room for as many as there may be.
TEST(ModesConfigTest, TheLeastShareOfAHotKeyIsOneThatTheSketchCanTell) {
  EXPECT_THAT(Wrong({{"hot.share", "0.03"}}), HasSubstr("hot.share"));
  Options options;
  ASSERT_TRUE(Configure(options, {{"hot.share", "0.04"}}).ok());
  EXPECT_LT(1 / options.copies.hot.leave, static_cast<double>(options.copies.hot.counters));
}

TEST(ModesConfigTest, TheQueueIsAsWideAsThePool) {
  Options options;
  ASSERT_TRUE(
      Configure(options, {{"origin.max_connections", "3"}, {"origin.max_waiting", "7"}, {"hot.copies", "2"}}).ok());
  EXPECT_EQ(options.admission.concurrency, 3);
  EXPECT_GE(options.reads.max_outstanding, 10);
  EXPECT_TRUE(options.admission.shed);
  EXPECT_EQ(options.writer.copies, 2u) << "deletes reach copies that others may have made";
}

class ModesServiceTest : public ModesTest {
 protected:
  ~ModesServiceTest() override {
    service_.reset();
    RunFor(Millis(1));
  }
  void Serve(Sets sets) {
    sets.insert(sets.begin(), {{"redis.port", std::to_string(redis_server_->port())},
                               {"redis.deadline", "2s"},
                               {"postgres.port", std::to_string(postgres_->port())},
                               {"postgres.database", postgres_->database()},
                               {"postgres.user", postgres_->user()},
                               {"origin.deadline", "5s"},
                               {"writes.deadline", "5s"},
                               {"request.deadline", "8s"}});
    Options options;
    const absl::Status configured = Configure(options, sets);
    ASSERT_TRUE(configured.ok()) << configured;
    http_.emplace(loop_, http::Server::Options{});
    environment_.emplace(app::Environment{loop_, metrics_, tracer_, *http_});
    service_.emplace(*environment_, options);
    ASSERT_TRUE(service_->Start().ok());
    ASSERT_TRUE(http_->Start().ok());
    ASSERT_TRUE(RunUntil([&] { return service_->Ready(); }));
  }
  std::string Request(const std::string& method, const std::string& path, const std::string& body = "") {
    auto answer = std::async(std::launch::async, Http, http_->port(), method, path, body, "");
    EXPECT_TRUE(RunUntil([&] { return answer.wait_for(Nanos(0)) == std::future_status::ready; }));
    return answer.get();
  }
  obs::Tracer tracer_;
  std::optional<http::Server> http_;
  std::optional<app::Environment> environment_;
  std::optional<Service> service_;
};

TEST_F(ModesServiceTest, AWriteWithoutAnAnswerIsDecidedAndOldKeysAreForgotten) {
  postgres_->Query("INSERT INTO applied_write VALUES ('old', 'acme', 1, now() - interval '1 hour')");
  Serve({{"writes.deadline", "500ms"}, {"writes.remember", "10m"}});
  ASSERT_TRUE(RunUntil([&] { return Metric("cacheapi_requests_forgotten_total") == 1; }));
  postgres_->SignalPool("pg_write", SIGSTOP);
  EXPECT_THAT(Request("PUT", "/v1/brands/acme/correction", "{\"posts\": 5}"), HasSubstr("504"));
  EXPECT_TRUE(RunUntil([&] { return Metric("cacheapi_writes_decided_total{fate=\"given_up\"}") == 1; }));
  postgres_->SignalPool("pg_write", SIGCONT);
  ASSERT_TRUE(RunUntil([&] { return Metric("pg_late_results_total{pool=\"pg_write\"}") == 1; }));
  EXPECT_EQ(VersionThere(), 1u);
}

TEST_F(ModesServiceTest, ABrandIsMadeThroughTheApiAndAnUnknownOneIsDenied) {
  Serve({{"bloom.enabled", "true"}});
  ASSERT_TRUE(RunUntil([&] { return Metric("cacheapi_bloom_whole") == 1; }));
  const std::string denied = Request("GET", "/v1/brands/new/insights");
  EXPECT_THAT(denied, HasSubstr("HTTP/1.1 404"));
  EXPECT_THAT(denied, HasSubstr("X-Cache: hit"));
  EXPECT_THAT(denied, HasSubstr("X-Cache-Tier: bloom"));
  const std::string made = Request("POST", "/v1/brands", R"({"id": "new", "name": "New"})");
  EXPECT_THAT(made, HasSubstr("HTTP/1.1 201"));
  EXPECT_THAT(made, HasSubstr("Location: /v1/brands/new/insights"));
  EXPECT_THAT(made, HasSubstr("X-Version: 1"));
  EXPECT_THAT(Request("GET", "/v1/brands/new/insights"), HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(Request("POST", "/v1/brands", R"({"id": "new", "name": "New"})"), HasSubstr("HTTP/1.1 200"));
  EXPECT_THAT(Request("POST", "/v1/brands", R"({"id": "new", "name": "Old"})"), HasSubstr("HTTP/1.1 409"));
  EXPECT_THAT(Request("POST", "/v1/brands", R"({"id": "ماركة"})"),
              HasSubstr("Location: /v1/brands/%D9%85%D8%A7%D8%B1%D9%83%D8%A9/insights"));
  for (const char* wrong :
       {"", "[]", R"({"id": "a b"})", R"({"id": 7})", R"({"name": "New"})", R"({"id": "n", "x": ""})"}) {
    EXPECT_THAT(Request("POST", "/v1/brands", wrong), HasSubstr("HTTP/1.1 400")) << wrong;
  }
}

// The connection is lost while it commits: it may be there, and that is no conflict with another name.
TEST_F(ModesServiceTest, ABrandWhoseCommitNobodyKnowsOfMayBeThere) {
  postgres_->Query(
      "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'; "
      "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON brand DEFERRABLE INITIALLY DEFERRED FOR EACH ROW "
      "WHEN (NEW.id = 'slow') EXECUTE FUNCTION sleep()");
  Serve({});
  auto answer = std::async(std::launch::async, Http, http_->port(), "POST", "/v1/brands", R"({"id": "slow"})", "");
  EXPECT_TRUE(RunUntil(
      [&] { return postgres_->Admin("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1"; }));
  postgres_->Kill();
  EXPECT_TRUE(RunUntil([&] { return answer.wait_for(Nanos(0)) == std::future_status::ready; }));
  const std::string unknown = answer.get();
  EXPECT_THAT(unknown, HasSubstr("HTTP/1.1 504"));
  EXPECT_THAT(unknown, HasSubstr("send it again"));
  EXPECT_THAT(Request("POST", "/v1/brands", R"({"id": "other"})"), HasSubstr("HTTP/1.1 503"));
  postgres_->Start();
  postgres_->Query("DROP TRIGGER slow_commit ON brand; DROP FUNCTION sleep()");
}

TEST_F(ModesServiceTest, ReadyOnceWarm) {
  Insert("b1");
  Serve({{"warmup.keys", "2"}, {"warmup.before_ready", "true"}});
  EXPECT_EQ(Metric("cacheapi_warmup_loads_total{outcome=\"ok\"}"), 2);
  const std::string warm = Request("GET", "/v1/brands/b1/insights");
  EXPECT_THAT(warm, HasSubstr("X-Cache: hit"));
}

// All that goes together, at once: what is written is read.
TEST_F(ModesServiceTest, AllModesAtOnce) {
  Serve({{"bloom.enabled", "true"},
         {"hot.copies", "3"},
         {"hot.enabled", "true"},
         {"key.versioned", "true"},
         {"shadow.share", "1"},
         {"warmup.keys", "10"},
         {"stale.if_error", "true"}});
  for (int i = 1; i <= 5; ++i) {
    const std::string body = "{\"posts\": " + std::to_string(i) + "}";
    std::string written = Request("PUT", "/v1/brands/acme/correction", body);
    while (written.find("no connection") != std::string::npos) {  // ready is who can read
      written = Request("PUT", "/v1/brands/acme/correction", body);
    }
    EXPECT_THAT(written, HasSubstr("HTTP/1.1 200"));
    for (int reads = 0; reads < 20; ++reads) {
      EXPECT_THAT(Request("GET", "/v1/brands/acme/insights"), HasSubstr("X-Version: " + std::to_string(i + 1)));
    }
  }
  EXPECT_EQ(Metric("cacheapi_shadow_total{outcome=\"stale\"}"), 0);
}

}  // namespace
}  // namespace lab::cacheapi
