// The whole service over real gRPC, HTTP and Redis: what is on the wire, bad input, and every way to lose the store.

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
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/support/byte_buffer.h>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/ratelimit/wiring.h"
#include "services/runtime/redis/test_server.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::ratelimit {
namespace {

using rls_Request = envoy::service::ratelimit::v3::RateLimitRequest;
using rls_Response = envoy::service::ratelimit::v3::RateLimitResponse;
using rpc::testing::WaitUntil;
using testing::HasSubstr;

constexpr char kMethod[] = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

constexpr char kRules[] = R"(
domain: shop
descriptors:
  - {key: tenant, rate_limit: {unit: day, requests_per_unit: 3, name: per-tenant}}
  - {key: allow, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: allow}}
  - {key: deny, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: deny}}
  - {key: local, rate_limit: {unit: day, requests_per_unit: 3, on_store_failure: local}}
  - {key: odd, rate_limit: {every: 1500ms, requests_per_unit: 7, algorithm: token_bucket}}
)";

// POST by a plain socket: the whole answer as text.
std::string Http(int port, const std::string& method, const std::string& path, const std::string& body = "") {
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

rls_Request Request(const std::string& key, const std::string& value, uint32_t hits = 0) {
  rls_Request request;
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
  explicit ServiceUnderTest(Options options, const std::string& rules = kRules) : http_(thread_.loop, {}) {
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

  std::string rules_path() const { return (folder_ / "rules.yaml").string(); }
  void WriteRules(const std::string& text) const {
    std::ofstream(folder_ / "next") << text;
    std::filesystem::rename(folder_ / "next", folder_ / "rules.yaml");
  }
  int grpc_port() const { return service_->Ports()[0].second; }
  int http_port() const { return http_.port(); }

  grpc::Status Call(const rls_Request& request, rls_Response* response) {
    return client_->Call(kMethod, request, response);
  }
  // The code of one request of one descriptor.
  rls_Response::Code Ask(const std::string& key, const std::string& value, uint32_t hits = 0) {
    rls_Response response;
    const grpc::Status status = Call(Request(key, value, hits), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.overall_code();
  }
  // How many of `count` requests pass.
  int Admitted(const std::string& key, const std::string& value, int count) {
    int admitted = 0;
    for (int i = 0; i < count; ++i) admitted += Ask(key, value) == rls_Response::OK ? 1 : 0;
    return admitted;
  }
  bool MetricsShow(const std::string& text) { return metrics_.Text().find(text) != std::string::npos; }
  rpc::testing::PlainClient& client() { return *client_; }

  absl::Status started;

 private:
  rpc::testing::LoopThread thread_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  http::Server http_;
  app::Environment environment_{thread_.loop, metrics_, tracer_, http_};
  std::filesystem::path folder_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<rpc::testing::PlainClient> client_;
  bool stopped_ = false;
};

Options InMemory() {
  Options options;
  options.store = StoreKind::kMemory;
  return options;
}

Options OnRedis(int port) {
  Options options;
  options.redis.port = port;
  options.redis.deadline = Millis(19);  // a busy test host must not fail healthy calls
  options.redis.breaker.failures = 3;
  options.redis.breaker.open_for = Millis(20);
  return options;
}

TEST(ServiceTest, AnswersWithLimitRemainingResetAndFields) {
  ServiceUnderTest service(InMemory());
  ASSERT_TRUE(service.started.ok()) << service.started;
  rls_Request request = Request("tenant", "1");
  *request.add_descriptors()->add_entries() = request.descriptors(0).entries(0);
  request.mutable_descriptors(1)->mutable_entries(0)->set_key("nobody");
  rls_Response response;
  ASSERT_TRUE(service.Call(request, &response).ok());
  EXPECT_EQ(response.overall_code(), rls_Response::OK);
  ASSERT_EQ(response.statuses_size(), 2);
  const auto& status = response.statuses(0);
  EXPECT_EQ(status.code(), rls_Response::OK);
  EXPECT_EQ(status.current_limit().requests_per_unit(), 3u);
  EXPECT_EQ(status.current_limit().unit(), rls_Response::RateLimit::DAY);
  EXPECT_EQ(status.current_limit().name(), "per-tenant");
  EXPECT_EQ(status.limit_remaining(), 2u);
  EXPECT_GT(status.duration_until_reset().seconds() + status.duration_until_reset().nanos(), 0);
  EXPECT_LE(status.duration_until_reset().seconds(), 86'400);
  EXPECT_EQ(response.statuses(1).code(), rls_Response::OK);
  EXPECT_FALSE(response.statuses(1).has_current_limit());
  ASSERT_EQ(response.response_headers_to_add_size(), 2);
  EXPECT_EQ(response.response_headers_to_add(0).key(), "RateLimit-Policy");
  EXPECT_EQ(response.response_headers_to_add(0).value(), "\"per-tenant\";q=3;w=86400");
  EXPECT_EQ(response.response_headers_to_add(1).key(), "RateLimit");
  EXPECT_THAT(response.response_headers_to_add(1).value(), testing::MatchesRegex("\"per-tenant\";r=2;t=[0-9]+"));
  EXPECT_EQ(service.Admitted("tenant", "1", 5), 2);
  ASSERT_TRUE(service.Call(Request("tenant", "1"), &response).ok());
  EXPECT_EQ(response.overall_code(), rls_Response::OVER_LIMIT);
  EXPECT_EQ(response.statuses(0).code(), rls_Response::OVER_LIMIT);
  ASSERT_EQ(response.response_headers_to_add_size(), 3);
  EXPECT_EQ(response.response_headers_to_add(2).key(), "Retry-After");
  EXPECT_GT(std::stoi(response.response_headers_to_add(2).value()), 0);
}

TEST(ServiceTest, AWindowOutsideTheUnitsIsUnknownAndHasNoW) {
  ServiceUnderTest service(InMemory());
  rls_Response response;
  ASSERT_TRUE(service.Call(Request("odd", "1"), &response).ok());
  EXPECT_EQ(response.statuses(0).current_limit().unit(), rls_Response::RateLimit::UNKNOWN);
  EXPECT_EQ(response.response_headers_to_add(0).value(), "\"odd\";q=7");
}

TEST(ServiceTest, HeadersCanBeLeftOut) {
  Options options = InMemory();
  options.headers = false;
  ServiceUnderTest service(options);
  rls_Response response;
  ASSERT_TRUE(service.Call(Request("tenant", "1"), &response).ok());
  EXPECT_EQ(response.response_headers_to_add_size(), 0);
}

// The bytes as another implementation of the public API writes and reads them, built by hand from its field numbers.
TEST(ServiceTest, SpeaksThePublicWireFormat) {
  const std::string no_headers = "domain: shop\ndescriptors: [{key: k, value: v, rate_limit: {unit: week, "
                                 "requests_per_unit: 300, name: n}}]\n";
  Options options = InMemory();
  options.headers = false;
  ServiceUnderTest service(options, no_headers);
  const std::string entry("\x0a\x01k\x12\x01v", 6);                                       // key = 1, value = 2
  const std::string descriptor = std::string("\x0a\x06") + entry + "\x1a\x02\x08\x05";     // entries = 1, hits_addend = 3
  const std::string wire = std::string("\x0a\x04shop\x12\x0c") + descriptor + "\x18\x02";  // domain 1, descriptors 2, hits 3
  const grpc::Slice slice(wire.data(), wire.size());
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer response;
  const grpc::Status status = service.client().Call(kMethod, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  grpc::Slice bytes;
  ASSERT_TRUE(response.DumpToSingleSlice(&bytes).ok());
  const std::string text(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  // overall_code 1 = OK; statuses 2: code 1 = OK, current_limit 2 {requests 1 = 300, unit 2 = WEEK 7, name 3 = "n"},
  // limit_remaining 3 = 295, duration_until_reset 4 {…}
  const std::string limit("\x12\x08\x08\xac\x02\x10\x07\x1a\x01n", 10);
  EXPECT_EQ(text.substr(0, 2), std::string("\x08\x01", 2));
  EXPECT_EQ(text[2], '\x12');
  EXPECT_EQ(text.substr(4, 2), std::string("\x08\x01", 2));
  EXPECT_EQ(text.substr(6, limit.size()), limit);
  EXPECT_EQ(text.substr(6 + limit.size(), 3), std::string("\x18\xa7\x02", 3));
  EXPECT_EQ(text[9 + limit.size()], '\x22');
}

TEST(ServiceTest, RefusesWhatIsNoQuestion) {
  ServiceUnderTest service(InMemory());
  rls_Response response;
  const auto code = [&](const rls_Request& request) { return service.Call(request, &response).error_code(); };
  rls_Request request;
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_domain("shop");
  EXPECT_EQ(code(request), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(service.Call(request, &response).error_message(), "descriptors must not be empty");

  rls_Request many = Request("tenant", "1");
  for (int i = 0; i < 32; ++i) many.add_descriptors();
  EXPECT_EQ(code(many), grpc::StatusCode::RESOURCE_EXHAUSTED);
  rls_Request deep = Request("tenant", "1");
  for (int i = 0; i < 16; ++i) deep.mutable_descriptors(0)->add_entries();
  EXPECT_EQ(code(deep), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(code(Request("tenant", std::string(5'000, 'x'))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(code(Request("tenant", std::string(100'000, 'x'))), grpc::StatusCode::RESOURCE_EXHAUSTED);
  rls_Request override_ = Request("tenant", "1");
  override_.mutable_descriptors(0)->mutable_limit()->set_requests_per_unit(1);
  EXPECT_EQ(code(override_), grpc::StatusCode::INVALID_ARGUMENT);

  const std::string bad_utf8("\x0a\x02\xff\xfe\x12\x00", 6);
  const grpc::Slice slice(bad_utf8.data(), bad_utf8.size());
  const grpc::ByteBuffer raw(&slice, 1);
  grpc::ByteBuffer answer;
  EXPECT_EQ(service.client().Call(kMethod, raw, &answer).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(code(Request("tenant", "1")), grpc::StatusCode::OK) << "the connection goes on";
}

TEST(ServiceTest, CountsHitsOfTheRequestAndOfTheDescriptor) {
  ServiceUnderTest service(InMemory());
  EXPECT_EQ(service.Ask("tenant", "big", 4'294'967'295u), rls_Response::OVER_LIMIT);
  EXPECT_EQ(service.Ask("tenant", "big", 3), rls_Response::OK) << "the denied one must not have been charged";
  rls_Request look = Request("tenant", "look", 3);
  look.mutable_descriptors(0)->mutable_hits_addend()->set_value(0);
  rls_Response response;
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(service.Call(look, &response).ok());
  EXPECT_EQ(response.statuses(0).limit_remaining(), 3u);
  look.mutable_descriptors(0)->mutable_hits_addend()->set_value(~uint64_t{0});
  ASSERT_TRUE(service.Call(look, &response).ok());
  EXPECT_EQ(response.overall_code(), rls_Response::OVER_LIMIT);
}

TEST(ServiceTest, JsonAnswersWithTheStatusOfTheDecision) {
  ServiceUnderTest service(InMemory());
  const std::string body = R"({"domain":"shop","descriptors":[{"entries":[{"key":"tenant","value":"j"}]}],"hitsAddend":3})";
  const std::string first = Http(service.http_port(), "POST", "/json", body);
  EXPECT_THAT(first, HasSubstr("200 OK"));
  EXPECT_THAT(first, HasSubstr("\"overallCode\":\"OK\""));
  const std::string second = Http(service.http_port(), "POST", "/json", body);
  EXPECT_THAT(second, HasSubstr("429"));
  EXPECT_THAT(second, HasSubstr("Retry-After: "));
  EXPECT_THAT(second, HasSubstr("OVER_LIMIT"));
  for (const char* bad : {"", "{", "{\"domain\":1}", "{\"domain\":\"shop\"}", "{\"no\":\"such\"}"}) {
    const std::string answer = Http(service.http_port(), "POST", "/json", bad);
    EXPECT_THAT(answer, HasSubstr("400")) << bad;
    EXPECT_THAT(answer, HasSubstr("application/problem+json")) << bad;
  }
  EXPECT_THAT(Http(service.http_port(), "GET", "/debug/rules"), HasSubstr("shop  tenant  fixed_window  3 / "));
  EXPECT_THAT(Http(service.http_port(), "GET", "/debug/hot-keys"), HasSubstr("200 OK"));
}

TEST(ServiceTest, TakesGoodRulesAndKeepsTheOldOnesForBadOnes) {
  ServiceUnderTest service(InMemory());
  EXPECT_EQ(service.Ask("new", "1", 5), rls_Response::OK);
  service.WriteRules("domain: shop\ndescriptors: [{key: new, rate_limit: {unit: day, requests_per_unit: 1}}]\n");
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"ok\"} 1"); }));
  EXPECT_EQ(service.Ask("new", "1", 5), rls_Response::OVER_LIMIT);
  service.WriteRules("domain: shop\ndescriptors: [{kay: new}]\n");
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"failed\"} 1"); }));
  EXPECT_TRUE(service.MetricsShow("ratelimit_rules_stale 1"));
  EXPECT_EQ(service.Ask("new", "1", 5), rls_Response::OVER_LIMIT);
  service.WriteRules(kRules);
  ASSERT_TRUE(WaitUntil([&] { return service.MetricsShow("ratelimit_rules_reloads_total{outcome=\"ok\"} 2"); }));
  EXPECT_TRUE(service.MetricsShow("ratelimit_rules_stale 0"));
  EXPECT_EQ(service.Ask("new", "1", 5), rls_Response::OK);
}

TEST(ServiceTest, CountsInRedisOverReplicas) {
  redis::TestServer redis;
  ServiceUnderTest one(OnRedis(redis.port())), two(OnRedis(redis.port()));
  ASSERT_TRUE(one.started.ok() && two.started.ok());
  EXPECT_EQ(one.Admitted("tenant", "shared", 2), 2);
  EXPECT_EQ(two.Admitted("tenant", "shared", 3), 1);
  EXPECT_EQ(one.Admitted("tenant", "shared", 1), 0);
  EXPECT_NE(redis.Command({"EXISTS", "rl:{shop}:f:86400s:tenant=shared"}).find('1'), std::string::npos);
}

// What each policy gives while the store is away, and that counting is right again after.
class OutageTest : public testing::Test {
 protected:
  OutageTest() : service_(OnRedis(redis_.port())) {
    EXPECT_TRUE(service_.started.ok()) << service_.started;
    EXPECT_EQ(service_.Admitted("tenant", "before", 5), 3);
  }
  // With the store away: allow admits all, deny none, local its share.
  void ExpectPolicies() {
    ASSERT_TRUE(WaitUntil([&] { return service_.Ask("deny", "probe") == rls_Response::OVER_LIMIT; }));
    EXPECT_EQ(service_.Admitted("allow", "away", 8), 8);
    EXPECT_EQ(service_.Admitted("deny", "away", 8), 0);
    EXPECT_EQ(service_.Admitted("local", "away", 8), 3);
  }
  void ExpectRecovery(const std::string& value) {
    int n = 0;
    ASSERT_TRUE(WaitUntil([&] { return service_.Ask("deny", value + std::to_string(++n)) == rls_Response::OK; }));
    EXPECT_EQ(service_.Admitted("tenant", value, 5), 3);
  }

  redis::TestServer redis_;
  ServiceUnderTest service_;
};

TEST_F(OutageTest, Killed) {
  redis_.Kill();
  ExpectPolicies();
  const std::string body = R"({"domain":"shop","descriptors":[{"entries":[{"key":"deny","value":"j"}]}]})";
  EXPECT_THAT(Http(service_.http_port(), "POST", "/json", body), HasSubstr("503"));
  redis_.Start();
  ExpectRecovery("after kill");
  EXPECT_EQ(service_.Admitted("tenant", "before", 5), 3) << "a restart without its data: one more limit, no more";
}

TEST_F(OutageTest, Paused) {
  redis_.Pause();
  ExpectPolicies();
  redis_.Continue();
  ExpectRecovery("after pause");
  EXPECT_EQ(service_.Admitted("tenant", "before", 5), 0) << "nothing was lost";
}

TEST_F(OutageTest, FlushedLosesOneLimitAndItsScripts) {
  redis_.Command({"FLUSHALL"});
  redis_.Command({"SCRIPT", "FLUSH"});
  EXPECT_EQ(service_.Admitted("tenant", "before", 8), 3);
}

TEST_F(OutageTest, ReadOnly) {
  redis_.Command({"REPLICAOF", "127.0.0.1", "1"});
  ExpectPolicies();
  redis_.Command({"REPLICAOF", "NO", "ONE"});
  ExpectRecovery("after read-only");
}

TEST_F(OutageTest, OutOfMemory) {
  redis_.Command({"CONFIG", "SET", "maxmemory", "1"});
  ExpectPolicies();
  redis_.Command({"CONFIG", "SET", "maxmemory", "0"});
  ExpectRecovery("after out of memory");
}

TEST(ServiceStartTest, ARedisThatIsNotThereIsNoReasonNotToStart) {
  int port = 0;
  {
    redis::TestServer gone;
    port = gone.port();
  }
  ServiceUnderTest service(OnRedis(port));
  ASSERT_TRUE(service.started.ok()) << service.started;
  EXPECT_EQ(service.Admitted("deny", "x", 3), 0);
  EXPECT_EQ(service.Admitted("allow", "x", 5), 5);
}

TEST(ServiceStartTest, ARedisInClusterModeIsRefused) {
  redis::TestServer redis({"--cluster-enabled", "yes"});
  ServiceUnderTest service(OnRedis(redis.port()));
  ASSERT_FALSE(service.started.ok());
  EXPECT_THAT(std::string(service.started.message()), HasSubstr("cluster"));
}

TEST(ServiceStartTest, APortThatIsTakenIsNamed) {
  ServiceUnderTest first(InMemory());
  async::Loop loop;
  obs::Metrics metrics;
  obs::Tracer tracer;
  http::Server http(loop, {});
  app::Environment environment{loop, metrics, tracer, http};
  Options options = InMemory();
  options.grpc.port = first.grpc_port();
  Service second(environment, options);
  const absl::Status status = second.Start();
  EXPECT_THAT(std::string(status.message()), HasSubstr(std::to_string(first.grpc_port())));
}

TEST(ServiceStartTest, CheckFindsBadRules) {
  Options options;
  options.rules_path = "/nonexistent/rules.yaml";
  EXPECT_THAT(std::string(Check(options).message()), HasSubstr("/nonexistent/rules.yaml"));
  options.rules_path = "";
  EXPECT_TRUE(Check(options).ok());
}

// A stop answers what is in flight, also while Redis does not.
TEST(ServiceStopTest, StopsInOrderWhileRedisHangs) {
  redis::TestServer redis;
  ServiceUnderTest service(OnRedis(redis.port()));
  ASSERT_EQ(service.Admitted("tenant", "1", 1), 1);
  redis.Pause();
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      rls_Response response;
      for (int n = 0; n < 50 && service.Call(Request("deny", "x"), &response).ok(); ++n) {
      }
    });
  }
  service.Stop();
  for (std::thread& caller : callers) caller.join();
  redis.Continue();
}

}  // namespace
}  // namespace lab::ratelimit
