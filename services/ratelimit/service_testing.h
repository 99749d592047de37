#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/ratelimit/wiring.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::ratelimit {

using envoy::service::ratelimit::v3::RateLimitRequest;
using envoy::service::ratelimit::v3::RateLimitResponse;
using rpc::testing::WaitUntil;

inline constexpr char kMethod[] = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

inline constexpr char kRules[] = R"(
domain: shop
descriptors:
  - {key: tenant, rate_limit: {unit: day, requests_per_unit: 3, name: per-tenant}}
  - {key: allow, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: allow}}
  - {key: deny, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: deny}}
  - {key: local, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: local}}
  - {key: odd, rate_limit: {every: 1500ms, requests_per_unit: 7, algorithm: token_bucket}}
)";

// POST by a plain socket: the whole answer as text.
inline std::string Http(int port, const std::string& method, const std::string& path, const std::string& body = "") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request = method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
      char buffer[4096];
      for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(fd);
  return answer;
}

inline RateLimitRequest Request(const std::string& key, const std::string& value, uint32_t hits = 0) {
  RateLimitRequest request;
  request.set_domain("shop");
  request.set_hits_addend(hits);
  auto* entry = request.add_descriptors()->add_entries();
  entry->set_key(key);
  entry->set_value(value);
  return request;
}

// A service on a loop of its own, with rules in a file.
class ServiceUnderTest {
 public:
  enum class Failpoints { kAbsent, kPresent };
  explicit ServiceUnderTest(Options options, const std::string& rules = kRules,
                            Failpoints failpoints = Failpoints::kAbsent)
      : http_(thread_.loop, {.metrics = &metrics_}) {
    if (failpoints == Failpoints::kPresent) environment_.failpoints = &failpoints_;
    std::string folder = (std::filesystem::temp_directory_path() / "ratelimit-XXXXXX").string();
    folder_ = mkdtemp(folder.data());
    WriteRules(rules);
    options.grpc.port = 0;
    options.rules_path = rules_path();
    options.reload_every = Millis(10);
    service_ = std::make_unique<Service>(environment_, options);
    started = service_->Start();
    if (started.ok()) started = http_.Start();
    if (started.ok()) client_ = std::make_unique<rpc::testing::PlainClient>("127.0.0.1:" + std::to_string(grpc_port()));
    thread_.Start();
  }
  ~ServiceUnderTest() {
    Stop();
    thread_.Stop();
    service_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Stop() {
    if (stopped_ || !started.ok()) return;
    stopped_ = true;
    std::promise<void> done;
    thread_.loop.Post([&] { service_->Stop(Clock::now() + std::chrono::seconds(2), [&] { done.set_value(); }); });
    done.get_future().wait();
  }

  // As when HTTP cannot start after the service has: destroyed without a Stop.
  void Destroy() {
    thread_.Stop();
    service_.reset();
    stopped_ = true;
  }

  std::string rules_path() const { return (folder_ / "rules.yaml").string(); }
  void WriteRules(const std::string& text) const {
    std::ofstream(folder_ / "next") << text;
    std::filesystem::rename(folder_ / "next", folder_ / "rules.yaml");
  }
  int grpc_port() const { return service_->Ports()[0].second; }
  int http_port() const { return http_.port(); }

  grpc::Status Call(const RateLimitRequest& request, RateLimitResponse* response) {
    return client_->Call(kMethod, request, response);
  }
  // Of a service with failpoints; "" disarms.
  void Arm(const failpoint::Point& point, const std::string& spec) {
    thread_.Do([&] {
      if (spec.empty()) return failpoints_.Disarm(point);
      const absl::StatusOr<failpoint::Spec> parsed = failpoint::ParseSpecText(point, spec);
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      failpoints_.Arm(point, *parsed);
    });
  }
  // The code of one request of one descriptor.
  RateLimitResponse::Code Ask(const std::string& key, const std::string& value, uint32_t hits = 0) {
    RateLimitResponse response;
    const grpc::Status status = Call(Request(key, value, hits), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.overall_code();
  }
  // How many of `count` requests pass.
  int Admitted(const std::string& key, const std::string& value, int count) {
    int admitted = 0;
    for (int i = 0; i < count; ++i) admitted += Ask(key, value) == RateLimitResponse::OK ? 1 : 0;
    return admitted;
  }
  std::string MetricsText() const { return metrics_.Text(); }
  bool MetricsShow(const std::string& text) const { return MetricsText().find(text) != std::string::npos; }
  rpc::testing::PlainClient& client() { return *client_; }

  absl::Status started;

 private:
  rpc::testing::LoopThread thread_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  http::Server http_;
  failpoint::Controller failpoints_{thread_.loop, metrics_, 1};
  app::Environment environment_{thread_.loop, metrics_, tracer_, http_};
  std::filesystem::path folder_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<rpc::testing::PlainClient> client_;
  bool stopped_ = false;
};

inline Options InMemory() {
  Options options;
  options.store = StoreKind::kMemory;
  return options;
}

inline Options OnRedis(int port) {
  Options options;
  options.redis.port = port;
  options.redis.deadline = Millis(19);  // a busy test host must not fail healthy calls
  options.redis.breaker.failures = 3;
  options.redis.breaker.open_for = Millis(20);
  return options;
}

}  // namespace lab::ratelimit
