#pragma once

#include <gmock/gmock.h>

#include <future>
#include <memory>
#include <string>

#include "services/cacheapi/wiring.h"
#include "services/runtime/base/file.h"
#include "services/runtime/pg/test_server.h"
#include "services/runtime/redis/test_server.h"
#include "services/runtime/rpc/test_support.h"

// For the tests of this folder: the whole service on real stores, over real gRPC and HTTP.
namespace lab::cacheapi {

// The stores of a test program; one brand, "acme", and three posts of it.
struct Stores {
  Stores() {
    const absl::StatusOr<std::string> schema = ReadFile(LAB_SOURCE_DIR "/deploy/sql/insights/001_insights.sql");
    postgres.Query(schema.value());
    postgres.Query(
        "INSERT INTO brand VALUES ('acme', 'Acme'), ('other', 'Other'); INSERT INTO brand_state (brand_id) VALUES "
        "('acme'), "
        "('other'); INSERT INTO post (brand_id, published_at, language, sentiment, likes, author) SELECT 'acme', "
        "now() - interval '1 minute', CASE n WHEN 1 THEN 'ar' ELSE 'en' END, 10 * n, n, n FROM generate_series(1, 3) "
        "AS n");
  }
  void Reset() {
    postgres.Query(
        "UPDATE brand_state SET version = 1; DELETE FROM correction; DELETE FROM applied_write; DELETE FROM outbox");
    redis.Command({"FLUSHALL"});
  }
  pg::TestServer postgres;
  redis::TestServer redis;
};

// A service on a loop of its own.
class ServiceUnderTest {
 public:
  explicit ServiceUnderTest(Options options) : http_(thread_.loop, {.metrics = &metrics_}) {
    service_ = std::make_unique<Service>(environment_, options);
    started = service_->Start();
    if (started.ok()) started = http_.Start();
    if (started.ok() && !service_->Ports().empty()) {
      client_ = std::make_unique<rpc::testing::PlainClient>("127.0.0.1:" + std::to_string(grpc_port()));
    }
    thread_.Start();
  }
  ~ServiceUnderTest() {
    Stop();
    thread_.Stop();
    service_.reset();
  }
  void Stop() {
    if (stopped_ || !started.ok()) return;
    stopped_ = true;
    std::promise<void> done;
    thread_.loop.Post([&] { service_->Stop(Clock::now() + std::chrono::seconds(2), [&] { done.set_value(); }); });
    done.get_future().wait();
  }
  // Destroyed in the middle of whatever it does, as when HTTP cannot start after the service has.
  void Destroy() {
    thread_.Stop();
    service_.reset();
    stopped_ = true;
  }
  bool Ready() {
    return thread_.Do([this] { return service_->Ready(); });
  }
  int grpc_port() const { return service_->Ports()[0].second; }
  int http_port() const { return http_.port(); }
  bool has_grpc() const { return !service_->Ports().empty(); }
  std::string MetricsText() const { return metrics_.Text(); }
  bool MetricsShow(const std::string& line) const { return MetricsText().find(line + "\n") != std::string::npos; }
  rpc::testing::PlainClient& client() { return *client_; }

  absl::Status started;

 private:
  rpc::testing::LoopThread thread_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  http::Server http_;
  app::Environment environment_{thread_.loop, metrics_, tracer_, http_};
  std::unique_ptr<Service> service_;
  std::unique_ptr<rpc::testing::PlainClient> client_;
  bool stopped_ = false;
};

// On these stores, with deadlines that a busy host keeps.
inline Options On(const Stores& stores) {
  Options options;
  options.edge.grpc.port = 0;
  options.redis.port = stores.redis.port();
  options.redis.deadline = Millis(2000);
  options.request_deadline = std::chrono::seconds(10);
  for (pg::Options* pool : {&options.reads, &options.writes}) {
    pool->port = stores.postgres.port();
    pool->user = stores.postgres.user();
    pool->database = stores.postgres.database();
    pool->deadline = Millis(8000);
  }
  return options;
}

}  // namespace lab::cacheapi
