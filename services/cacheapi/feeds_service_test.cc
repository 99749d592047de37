// Two whole processes with their feeds, over HTTP; and what their configuration says no to.
#include <future>

#include "services/cacheapi/testing/feeds_fixture.h"
#include "services/cacheapi/testing/settings_testing.h"
#include "services/cacheapi/wiring.h"
#include "services/runtime/obs/trace.h"

namespace lab::cacheapi {
namespace {

using ::testing::HasSubstr;
TEST(FeedsConfigTest, WhatDoesNotGoTogetherIsSaid) {
  EXPECT_EQ(Wrong({}), "");
  const Sets alone = {{"l2.enabled", "false"}, {"fill", "singleflight"}};
  EXPECT_EQ(Wrong(alone), "") << "L1 alone follows nobody";
  for (const auto& [path, value] : Sets{{"invalidation", "outbox"}, {"invalidation", "cdc"}}) {
    Sets with = alone;
    with.emplace_back(path, value);
    EXPECT_THAT(Wrong(with), HasSubstr("invalidation: "));
  }
  Sets queue = alone;
  queue.emplace_back("write.pattern", "write_behind");
  EXPECT_THAT(Wrong(queue), HasSubstr("write_behind"));
  EXPECT_THAT(Wrong({{"l1.tracking_beat", "1s"}, {"l1.tracking_silence", "1s"}}), HasSubstr("l1.tracking_silence"));
  EXPECT_THAT(Wrong({{"cdc.slot", "a-b"}}), HasSubstr("cdc.slot"));
  EXPECT_THAT(Wrong({{"cdc.publication", "x; DROP TABLE brand"}}), HasSubstr("cdc.publication"));
}

TEST(FeedsConfigTest, WhoTellsFollowsFromOneField) {
  Options options;
  ASSERT_TRUE(Configure(options, {}).ok());
  EXPECT_TRUE(options.writer.tells_cache);
  EXPECT_FALSE(options.origin.outbox) << "nobody would take the rows away";
  ASSERT_TRUE(Configure(options, {{"invalidation", "outbox"}}).ok());
  EXPECT_FALSE(options.writer.tells_cache);
  EXPECT_TRUE(options.origin.outbox);
}

class FeedsServiceTest : public FeedsTest {
 protected:
  struct Process {
    Process(FeedsServiceTest& test, const cacheapi::Options& options)
        : http(test.loop_, http::Server::Options{}),
          environment{test.loop_, metrics, test.tracer_, http},
          service(environment, options) {}
    obs::Metrics metrics;
    http::Server http;
    app::Environment environment;
    Service service;
  };
  ~FeedsServiceTest() override {
    services_.clear();
    RunFor(Millis(20));
    for (int tries = 0; postgres_ != nullptr && tries < 200; ++tries) {
      if (postgres_->Admin("SELECT count(*) FROM pg_replication_slots") == "0") break;
      postgres_->Admin("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active",
                       postgres_->database());
      RunFor(Millis(20));
    }
  }
  Process& Serve(const Sets& sets, int redis_port = 0) {
    cacheapi::Options options;
    options.edge.grpc_enabled = false;  // several processes share the loop here, which has one source of events
    options.redis.port = redis_port != 0 ? redis_port : redis_server_->port();
    options.redis.deadline = Millis(2000);
    options.redis.connect_timeout = Millis(1000);
    options.reads.port = postgres_->port();
    options.reads.user = postgres_->user();
    options.reads.database = postgres_->database();
    options.reads.deadline = options.writes.deadline = std::chrono::seconds(5);
    options.request_deadline = std::chrono::seconds(8);
    options.reader.local_ttl = std::chrono::hours(1);
    const absl::Status configured = Configure(options, sets);
    EXPECT_TRUE(configured.ok()) << configured;
    services_.push_back(std::make_unique<Process>(*this, options));
    Process& process = *services_.back();
    EXPECT_TRUE(process.service.Start().ok());
    EXPECT_TRUE(process.http.Start().ok());
    EXPECT_TRUE(RunUntil([&] { return process.service.Ready(); }));
    return process;
  }
  std::string Request(Process& process, const std::string& method, const std::string& path,
                      const std::string& body = "") {
    auto answer = std::async(std::launch::async, Http, process.http.port(), method, path, body, "");
    EXPECT_TRUE(RunUntil([&] { return answer.wait_for(Nanos(0)) == std::future_status::ready; }));
    return answer.get();
  }
  std::string Get(Process& process) { return Request(process, "GET", "/v1/brands/acme/insights"); }
  std::string Put(Process& process) { return Request(process, "PUT", "/v1/brands/acme/correction", R"({"posts": 5})"); }
  // Asks until the answer has this in it.
  void GetUntil(Process& process, const std::string& text) {
    std::string answer;
    const auto give_up = Clock::now() + async::kPatience;
    while (Clock::now() < give_up) {
      answer = Get(process);
      if (answer.find(text) != std::string::npos) return;
      RunFor(Micros(200));
    }
    FAIL() << "no " << text << " in " << answer;
  }

  obs::Tracer tracer_;
  std::vector<std::unique_ptr<Process>> services_;
};

TEST_F(FeedsServiceTest, AWriteHereIsReadThere) {
  for (const std::string who : {"writer", "outbox", "cdc"}) {
    services_.clear();
    SetUp();
    Process& here = Serve({{"invalidation", who}});
    Process& there = Serve({{"invalidation", who}});
    GetUntil(there, "X-Cache-Tier: l1");
    std::vector<double> lags;
    for (int version = 2; version < 22; ++version) {
      const std::string written = Put(here);
      EXPECT_THAT(written, HasSubstr("\"version\":" + std::to_string(version)));
      const auto acknowledged = Clock::now();
      GetUntil(there, "X-Version: " + std::to_string(version));
      lags.push_back(std::chrono::duration<double, std::milli>(Clock::now() - acknowledged).count());
      GetUntil(there, "X-Cache-Tier: l1");
    }
    std::sort(lags.begin(), lags.end());
    std::cout << "[ invalidation ] " << who << ": read by another process after " << lags[lags.size() / 2]
              << " ms (median), " << lags.back() << " ms (most)\n";
    EXPECT_EQ(postgres_->Query("SELECT count(*) FROM outbox"), "0");
  }
}

TEST_F(FeedsServiceTest, WriteBehindIsAcceptedAndSeenLater) {
  redis::TestServer durable({"--appendonly", "yes", "--appendfsync", "always"});
  Process& process = Serve({{"write.pattern", "write_behind"}}, durable.port());
  std::string accepted;
  ASSERT_NO_FATAL_FAILURE(GetUntil(process, "X-Version: 1"));
  for (int tries = 0; tries < 100 && accepted.find("202") == std::string::npos; ++tries) {
    accepted = Put(process);  // 503 until it is known that this Redis keeps what it acknowledges
    RunFor(Millis(5));
  }
  EXPECT_THAT(accepted, HasSubstr("202 Accepted"));
  EXPECT_THAT(accepted, HasSubstr(R"({"brand":"acme","applied":false})"));
  GetUntil(process, "X-Version: 2");
  services_.clear();
}

TEST_F(FeedsServiceTest, WriteBehindWithoutALogIsRefused) {
  Process& process = Serve({{"write.pattern", "write_behind"}});
  std::string refused;
  for (int tries = 0; tries < 100 && refused.find("appendonly") == std::string::npos; ++tries) {
    refused = Put(process);
    RunFor(Millis(5));
  }
  EXPECT_THAT(refused, HasSubstr("503 Service Unavailable"));
  EXPECT_THAT(refused, HasSubstr("it needs appendonly yes, appendfsync always"));
  EXPECT_EQ(VersionThere(), 1u);
}

}  // namespace
}  // namespace lab::cacheapi
