// The whole service over gRPC, beside HTTP where the two must say the same, on real stores.

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <thread>
#include <vector>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "lab/cacheapi/v1/insights.pb.h"
#include "services/cacheapi/testing/service_fixture.h"
#include "services/runtime/base/json.h"

namespace lab::cacheapi {
namespace {

namespace rls = envoy::service::ratelimit::v3;
using rpc::testing::WaitUntil;
using testing::HasSubstr;
using testing::StartsWith;

TEST_F(ServiceTest, AnswersCarryTheInsightWithVersionViaAgeAndFreshness) {
  Start(On(*stores_));
  v1::GetInsightsResponse first, second;
  ASSERT_TRUE(Get("acme", "1h", &first).ok());
  EXPECT_EQ(first.insight().brand(), "acme");
  EXPECT_EQ(first.insight().window(), "1h");
  EXPECT_EQ(first.insight().posts(), 3);
  EXPECT_EQ(first.insight().authors(), 3);
  EXPECT_EQ(first.insight().sentiment(), 20);
  EXPECT_EQ(first.insight().likes_median(), 2);
  EXPECT_EQ(first.insight().likes_p99(), 3);
  EXPECT_EQ(first.insight().arabic(), 1);
  EXPECT_EQ(first.version(), 1u);
  EXPECT_EQ(first.via(), v1::VIA_ORIGIN);
  EXPECT_EQ(first.freshness(), v1::FRESHNESS_FRESH);
  EXPECT_GT(first.fresh_for().seconds() + first.fresh_for().nanos(), 0);
  // L1 holds it once Redis has taken it.
  do {
    ASSERT_TRUE(Get("acme", "1h", &second).ok());
  } while (second.via() == v1::VIA_L2);
  EXPECT_EQ(second.via(), v1::VIA_L1);
  EXPECT_EQ(second.insight().SerializeAsString(), first.insight().SerializeAsString());
  EXPECT_TRUE(second.has_age());
}

TEST_F(ServiceTest, WithoutAWindowItIsADayOnBothEdges) {
  Start(On(*stores_));
  v1::GetInsightsResponse response;
  ASSERT_TRUE(Get("acme", "", &response).ok());
  EXPECT_EQ(response.insight().window(), "24h");
  EXPECT_THAT(Http(service_->http_port(), "GET", "/v1/brands/acme/insights"), HasSubstr("\"window\":\"24h\""));
}

TEST_F(ServiceTest, WhatOneEdgeWritesTheOtherReads) {
  Start(On(*stores_));
  v1::GetInsightsResponse read;
  ASSERT_TRUE(Get("acme", "7d", &read).ok());
  v1::PutCorrectionResponse written;
  ASSERT_TRUE(Put("acme", 100, &written, "write-1", "an outage of the crawler").ok());
  EXPECT_EQ(written.brand(), "acme");
  EXPECT_EQ(written.version(), 2u);
  const std::string http = Http(service_->http_port(), "GET", "/v1/brands/acme/insights?window=7d");
  EXPECT_THAT(http, HasSubstr("\"posts\":103"));
  EXPECT_THAT(http, HasSubstr("X-Version: 2"));
  EXPECT_THAT(Http(service_->http_port(), "PUT", "/v1/brands/acme/correction", "{\"posts\":7}"),
              HasSubstr("{\"brand\":\"acme\",\"version\":3}"));
  ASSERT_TRUE(Get("acme", "7d", &read).ok());
  EXPECT_EQ(read.insight().posts(), 10);
  EXPECT_EQ(read.insight().correction(), 7);
  v1::DeleteCorrectionRequest remove;
  v1::DeleteCorrectionResponse removed;
  remove.set_brand("acme");
  ASSERT_TRUE(service_->client().Call(kDelete, remove, &removed).ok());
  EXPECT_EQ(removed.version(), 4u);
  ASSERT_TRUE(Get("acme", "7d", &read).ok());
  EXPECT_EQ(read.insight().posts(), 3);
}

TEST_F(ServiceTest, AWriteThatIsSentAgainIsAppliedOnceWhicheverEdgeItComesBy) {
  Start(On(*stores_));
  v1::PutCorrectionResponse written;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(Put("acme", 5, &written, "same").ok());
    EXPECT_EQ(written.version(), 2u);
  }
  EXPECT_THAT(
      Http(service_->http_port(), "PUT", "/v1/brands/acme/correction", "{\"posts\":5}", "Idempotency-Key: same\r\n"),
      HasSubstr("\"version\":2"));
  EXPECT_EQ(Put("other", 5, &written, "same").error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_THAT(Http(service_->http_port(), "DELETE", "/v1/brands/other/correction", "", "Idempotency-Key: same\r\n"),
              StartsWith("HTTP/1.1 409 "));
}

// What is wrong is said in the same words by both edges, and nothing reaches a store.
TEST_F(ServiceTest, BothEdgesRefuseTheSame) {
  Start(On(*stores_));
  v1::GetInsightsResponse read;
  v1::PutCorrectionResponse written;
  const std::string giant(65, 'x');
  const int port = service_->http_port();
  const std::vector<std::pair<grpc::Status, std::string>> pairs = {
      {Get(giant, "", &read), Http(port, "GET", "/v1/brands/" + giant + "/insights")},
      {Get("a b", "", &read), Http(port, "GET", "/v1/brands/a%20b/insights")},
      {Get("acme", "2h", &read), Http(port, "GET", "/v1/brands/acme/insights?window=2h")},
      {Put("acme", 1, &written, std::string(129, 'k')), Http(port, "PUT", "/v1/brands/acme/correction", "{\"posts\":1}",
                                                             "Idempotency-Key: " + std::string(129, 'k') + "\r\n")},
      {Put("acme", 1, &written, "", std::string(1001, 'n')),
       Http(port, "PUT", "/v1/brands/acme/correction", "{\"posts\":1,\"note\":\"" + std::string(1001, 'n') + "\"}")},
  };
  for (const auto& [status, http] : pairs) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_THAT(http, StartsWith("HTTP/1.1 400 "));
    const std::string words = JsonString(status.error_message());
    EXPECT_THAT(http, HasSubstr("\"detail\":" + words));
  }
  EXPECT_THAT(
      Http(port, "PUT", "/v1/brands/acme/correction", "{\"posts\":1}", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n"),
      StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Http(port, "POST", "/v1/brands", "{\"id\":\"x\",\"id\":\"y\"}"), StartsWith("HTTP/1.1 400 "));
  EXPECT_EQ(Get("", "", &read).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Put("acme", kMostPosts + 1, &written).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(Http(port, "PUT", "/v1/brands/acme/correction", "{\"posts\":18446744073709551615}"),
              StartsWith("HTTP/1.1 400 "));
  const std::string not_utf8("\x0a\x02\xff\xfe", 4);
  const grpc::Slice slice(not_utf8.data(), not_utf8.size());
  const grpc::ByteBuffer raw(&slice, 1);
  grpc::ByteBuffer answer;
  EXPECT_EQ(service_->client().Call(kGet, raw, &answer).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(service_->MetricsShow("cacheapi_origin_reads_total{outcome=\"found\"} 0"));
  EXPECT_EQ(stores_->postgres.Query("SELECT max(version) FROM brand_state"), "1");
}

TEST_F(ServiceTest, AnUnknownBrandIsNotFoundOnBothEdges) {
  Start(On(*stores_));
  v1::GetInsightsResponse read;
  v1::PutCorrectionResponse written;
  EXPECT_EQ(Get("nobody", "", &read).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Put("nobody", 1, &written).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(Http(service_->http_port(), "GET", "/v1/brands/nobody/insights"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(ServiceTest, TheCallersDeadlineIsKept) {
  Options options = On(*stores_);
  options.origin.delay = std::chrono::seconds(3);
  Start(options);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + Millis(100));
  v1::GetInsightsResponse read;
  EXPECT_EQ(Get("acme", "", &read, &context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  // The server has given the call up too: it ends by itself, long before the database answers.
  EXPECT_TRUE(WaitUntil([&] { return service_->MetricsShow("rpc_server_in_flight 0"); }));
  EXPECT_TRUE(service_->MetricsShow("rpc_server_calls_total{code=\"DEADLINE_EXCEEDED\"} 1"));
}

TEST_F(ServiceTest, AnActorOfTheMetadataIsHeldByTheGate) {
  Options options = On(*stores_);
  options.gate = true;
  options.request_deadline = Millis(300);
  Start(options);
  grpc::ClientContext context;
  context.AddMetadata("x-actor", "R1");
  context.set_deadline(std::chrono::system_clock::now() + rpc::testing::kPatience);
  v1::GetInsightsResponse read;
  EXPECT_EQ(Get("acme", "", &read, &context).error_code(), grpc::StatusCode::DEADLINE_EXCEEDED) << "nobody lets it go";
  EXPECT_TRUE(service_->MetricsShow("cacheapi_origin_reads_total{outcome=\"found\"} 0"));
}

TEST_F(ServiceTest, TellsItsHealthAndDescribesItself) {
  Start(On(*stores_));
  grpc::health::v1::HealthCheckRequest request;
  grpc::health::v1::HealthCheckResponse health;
  request.set_service("lab.cacheapi.v1.InsightsService");
  ASSERT_TRUE(service_->client().Call("/grpc.health.v1.Health/Check", request, &health).ok());
  EXPECT_EQ(health.status(), grpc::health::v1::HealthCheckResponse::SERVING);
  const std::string document = Http(service_->http_port(), "GET", "/openapi.json");
  EXPECT_THAT(document, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(document, HasSubstr("\"operationId\": \"getInsights\""));
}

TEST_F(ServiceTest, GrpcMayBeOff) {
  Options options = On(*stores_);
  options.edge.grpc_enabled = false;
  Start(options);
  EXPECT_FALSE(service_->has_grpc());
  EXPECT_THAT(Http(service_->http_port(), "GET", "/v1/brands/acme/insights"), StartsWith("HTTP/1.1 200 "));
}

// A limiter that lets each tenant pass twice.
class TwiceLimiter {
 public:
  TwiceLimiter() : server_(thread_.loop, {}, metrics_, tracer_) {
    server_.Register(
        "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "test.limit", [this](rpc::Call call) {
          rls::RateLimitRequest request;
          if (!call.Parse(&request)) return;
          const bool passes = ++asked_[request.descriptors(0).entries(0).value()] <= 2;
          rls::RateLimitResponse response;
          response.set_overall_code(passes ? rls::RateLimitResponse::OK : rls::RateLimitResponse::OVER_LIMIT);
          auto* header = response.add_response_headers_to_add();
          header->set_key(passes ? "RateLimit" : "Retry-After");
          header->set_value(passes ? "\"t\";r=1" : "60");
          call.Reply(response);
        });
    EXPECT_TRUE(server_.Start().ok());
    thread_.Start();
  }
  ~TwiceLimiter() { thread_.Stop(); }
  std::string target() const { return "127.0.0.1:" + std::to_string(server_.port()); }

 private:
  rpc::testing::LoopThread thread_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  std::map<std::string, int> asked_;
  rpc::Server server_;
};

TEST_F(ServiceTest, OverTheLimitIsResourceExhaustedWithTheFieldsInTheTrailers) {
  TwiceLimiter limiter;
  Options options = On(*stores_);
  options.edge.limiter.target = limiter.target();
  options.edge.limiter.deadline = std::chrono::seconds(5);
  Start(options);
  const auto ask = [&](const std::string& tenant) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + rpc::testing::kPatience);
    if (!tenant.empty()) context.AddMetadata("x-tenant", tenant);
    v1::GetInsightsResponse read;
    const grpc::Status status = Get("acme", "", &read, &context);
    std::string fields;
    for (const auto& [name, value] : context.GetServerTrailingMetadata()) {
      fields += std::string(name.data(), name.size()) + "=" + std::string(value.data(), value.size()) + " ";
    }
    return std::pair(status.error_code(), fields);
  };
  for (const char* tenant : {"a", "b", ""}) {
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(ask(tenant), std::pair(grpc::StatusCode::OK, std::string("ratelimit=\"t\";r=1 ")));
    EXPECT_EQ(ask(tenant), std::pair(grpc::StatusCode::RESOURCE_EXHAUSTED, std::string("retry-after=60 ")));
  }
  // The same tenant by HTTP has used it up too; a write is a request like any other.
  const std::string http = Http(service_->http_port(), "GET", "/v1/brands/acme/insights", "", "X-Tenant: a\r\n");
  EXPECT_THAT(http, StartsWith("HTTP/1.1 429 "));
  EXPECT_THAT(http, HasSubstr("Retry-After: 60\r\n"));
  EXPECT_THAT(Http(service_->http_port(), "PUT", "/v1/brands/acme/correction", "{\"posts\":1}", "X-Tenant: a\r\n"),
              StartsWith("HTTP/1.1 429 "));
  EXPECT_EQ(stores_->postgres.Query("SELECT max(version) FROM brand_state"), "1") << "and was not written";
}

TEST_F(ServiceTest, AnswersWhatIsUnderWayBeforeItStops) {
  Options options = On(*stores_);
  options.origin.delay = Millis(400);
  Start(options);
  std::promise<grpc::Status> ended;
  std::thread caller([&] {
    v1::GetInsightsResponse read;
    ended.set_value(Get("acme", "", &read));
  });
  ASSERT_TRUE(WaitUntil([&] { return service_->MetricsShow("pg_outstanding{pool=\"pg_read\"} 1"); }));
  service_->Stop();
  caller.join();
  EXPECT_TRUE(ended.get_future().get().ok());
}

TEST_F(ServiceTest, UnderLoadItMayEndWithoutAStop) {
  TwiceLimiter limiter;
  for (int round = 0; round < 4; ++round) {
    Options options = On(*stores_);
    options.reader.local = false;
    if (round % 2 == 1) options.edge.limiter.target = limiter.target();
    Start(options);
    std::atomic<int> answered = 0;
    const std::string target = "127.0.0.1:" + std::to_string(service_->grpc_port());
    std::vector<std::thread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back([&, i] {
        rpc::testing::PlainClient client(target);
        v1::GetInsightsRequest request;
        request.set_brand(i == 0 ? "nobody" : "acme");
        v1::GetInsightsResponse response;
        for (;;) {
          const grpc::Status status = client.Call(kGet, request, &response);
          if (status.error_code() == grpc::StatusCode::UNAVAILABLE ||
              status.error_code() == grpc::StatusCode::CANCELLED)
            return;
          ++answered;
        }
      });
    }
    ASSERT_TRUE(WaitUntil([&] { return answered > 40; }));
    service_->Destroy();
    for (std::thread& caller : callers) caller.join();
    service_.reset();
  }
}

TEST_F(ServiceTest, PromtoolFindsNothingToComplainAbout) {
  const char* named = std::getenv("LAB_PROMTOOL");
  const std::string promtool = named != nullptr ? named : "promtool";
  if (std::system(("command -v " + promtool + " >/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no promtool (Debian package prometheus, or LAB_PROMTOOL=<path>)";
  }
  TwiceLimiter limiter;
  Options options = On(*stores_);
  options.edge.limiter.target = limiter.target();
  Start(options);
  v1::GetInsightsResponse read;
  Get("acme", "", &read);
  std::string file = (std::filesystem::temp_directory_path() / "cacheapi-metrics-XXXXXX").string();
  const int fd = mkstemp(file.data());
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(file) << service_->MetricsText();
  EXPECT_EQ(std::system((promtool + " check metrics <" + file).c_str()), 0);
  std::filesystem::remove(file);
}

TEST_F(ServiceTest, ARedisInClusterModeIsRefused) {
  redis::TestServer cluster({"--cluster-enabled", "yes"});
  Options options = On(*stores_);
  options.redis.port = cluster.port();
  ServiceUnderTest service(options);
  ASSERT_FALSE(service.started.ok());
  EXPECT_THAT(std::string(service.started.message()), HasSubstr("cluster"));
}

TEST_F(ServiceTest, AGrpcPortThatIsTakenIsNamed) {
  Start(On(*stores_));
  Options options = On(*stores_);
  options.edge.grpc.port = service_->grpc_port();
  ServiceUnderTest second(options);
  EXPECT_THAT(std::string(second.started.message()), HasSubstr(std::to_string(options.edge.grpc.port)));
}

}  // namespace
}  // namespace lab::cacheapi
