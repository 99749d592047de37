#include "services/cacheapi/limiter/limiter_client.h"

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/runtime/rpc/queue.h"
#include "services/runtime/rpc/test_support.h"

namespace lab::cacheapi {
namespace {

namespace rls = envoy::service::ratelimit::v3;
using rpc::testing::LoopThread;
using rpc::testing::WaitUntil;
using Verdict = LimiterClient::Verdict;

// A limiter that does as it is told: the real one is asked in tests/integration/cacheapi_test.py, and fails on demand
// nowhere.
class ToldLimiter {
 public:
  enum class Mode { kOk, kOverLimit, kNeither, kFail, kSilent };

  explicit ToldLimiter(int port = 0) : server(thread.loop, {.port = port}, metrics, tracer) {
    server.Register("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "test.limit",
                    [this](rpc::Call call) { Answer(call); });
    started = server.Start();
    thread.Start();
  }
  ~ToldLimiter() { thread.Stop(); }
  void Set(Mode told) {
    thread.Do([&] { mode = told; });
  }
  rls::RateLimitRequest last() {
    return thread.Do([&] { return asked.back(); });
  }
  size_t count() {
    return thread.Do([&] { return asked.size(); });
  }
  std::string target() const { return "127.0.0.1:" + std::to_string(server.port()); }

  LoopThread thread;
  obs::Metrics metrics;
  obs::Tracer tracer{{.sample_ratio = 0}};
  absl::Status started;

 private:
  void Answer(rpc::Call call) {
    rls::RateLimitRequest request;
    if (!call.Parse(&request)) return;
    asked.push_back(request);
    if (mode == Mode::kSilent) return;
    if (mode == Mode::kFail) return call.Fail(absl::InternalError("told to fail"));
    rls::RateLimitResponse response;
    if (mode != Mode::kNeither) {
      response.set_overall_code(mode == Mode::kOk ? rls::RateLimitResponse::OK : rls::RateLimitResponse::OVER_LIMIT);
    }
    for (const auto& [key, value] :
         {std::pair{"RateLimit", "\"t\";r=2;t=9"}, std::pair{"Retry-After", "9"}, std::pair{"Content-Length", "7"},
          std::pair{"X-RateLimit-Reset", "a\r\nX-Evil: b"}, std::pair{"Set-Cookie", "a=b"}}) {
      auto* header = response.add_response_headers_to_add();
      header->set_key(key);
      header->set_value(value);
    }
    call.Reply(response);
  }

  Mode mode = Mode::kOk;
  std::vector<rls::RateLimitRequest> asked;
  rpc::Server server;
};

class LimiterClientTest : public ::testing::Test {
 protected:
  ~LimiterClientTest() override {
    own_.Stop();
    client_.reset();
  }
  void Start(LimiterClient::Options options) {
    client_ = std::make_unique<LimiterClient>(queue_, options, metrics_, tracer_, nullptr);
    own_.Start();
  }
  static LimiterClient::Options To(const std::string& target) {
    LimiterClient::Options options;
    options.target = target;
    options.deadline = rpc::testing::kPatience;  // a busy host must not fail what is healthy
    options.breaker.failures = 3;
    options.breaker.open_for = Millis(50);
    return options;
  }
  Verdict Ask(const std::string& tenant, Nanos patience = 2 * rpc::testing::kPatience) {
    std::promise<Verdict> verdict;
    own_.loop.Post([&, patience] {
      client_->Ask(tenant, Clock::now() + patience, trace_, [&](Verdict one) { verdict.set_value(std::move(one)); });
    });
    return verdict.get_future().get();
  }
  bool MetricsShow(const std::string& line) { return metrics_.Text().find(line + "\n") != std::string::npos; }

  LoopThread own_;
  obs::Metrics metrics_;
  obs::Tracer tracer_{{.sample_ratio = 1}};
  obs::TraceContext trace_;
  rpc::Queue queue_{own_.loop};
  std::unique_ptr<LimiterClient> client_;
};

TEST_F(LimiterClientTest, AsksForTheTenantAndTellsWhatTheLimiterSays) {
  ToldLimiter limiter;
  Start(To(limiter.target()));
  trace_ = obs::ParseTraceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  const Verdict passed = Ask("acme");
  EXPECT_EQ(passed.code, Verdict::Code::kOk);
  const rls::RateLimitRequest asked = limiter.last();
  EXPECT_EQ(asked.domain(), "cacheapi");
  ASSERT_EQ(asked.descriptors_size(), 1);
  ASSERT_EQ(asked.descriptors(0).entries_size(), 1);
  EXPECT_EQ(asked.descriptors(0).entries(0).key(), "tenant");
  EXPECT_EQ(asked.descriptors(0).entries(0).value(), "acme");
  const auto spans = limiter.tracer.Drain();
  ASSERT_EQ(spans.size(), 1u);
  EXPECT_EQ(spans[0].context.trace_id, trace_.trace_id) << "the trace goes with the question";

  limiter.Set(ToldLimiter::Mode::kOverLimit);
  EXPECT_EQ(Ask("").code, Verdict::Code::kOverLimit);
  EXPECT_EQ(limiter.last().descriptors(0).entries(0).value(), "anonymous");
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_decisions_total{outcome=\"ok\"} 1"));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_decisions_total{outcome=\"over_limit\"} 1"));
  EXPECT_TRUE(MetricsShow("rpc_client_calls_total{client=\"ratelimit\",outcome=\"ok\"} 2"));
}

TEST_F(LimiterClientTest, TakesTheFieldsOfRateLimitsAndNoOthers) {
  ToldLimiter limiter;
  Start(To(limiter.target()));
  EXPECT_THAT(Ask("acme").fields,
              testing::ElementsAre(testing::Pair("RateLimit", "\"t\";r=2;t=9"), testing::Pair("Retry-After", "9")));
}

TEST_F(LimiterClientTest, ASilentLimiterCostsTheDeadlineAndThePolicyDecides) {
  ToldLimiter limiter;
  limiter.Set(ToldLimiter::Mode::kSilent);
  LimiterClient::Options options = To(limiter.target());
  options.deadline = Millis(20);
  Start(options);
  const Verdict verdict = Ask("acme");
  EXPECT_EQ(verdict.code, Verdict::Code::kOk);
  EXPECT_TRUE(verdict.fields.empty());
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"timeout\"} 1"));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_decisions_total{outcome=\"allowed_by_policy\"} 1"));
}

TEST_F(LimiterClientTest, DeniesWhenThatIsThePolicy) {
  ToldLimiter limiter;
  limiter.Set(ToldLimiter::Mode::kNeither);
  LimiterClient::Options options = To(limiter.target());
  options.on_failure = LimiterClient::OnFailure::kDeny;
  Start(options);
  EXPECT_EQ(Ask("acme").code, Verdict::Code::kUnknown) << "an answer that is none";
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"error\"} 1"));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_decisions_total{outcome=\"denied_by_policy\"} 1"));
}

// Healthy, failing, recovered.
TEST_F(LimiterClientTest, TheBreakerKeepsCallsFromAFailedLimiterUntilItIsBack) {
  ToldLimiter limiter;
  Start(To(limiter.target()));
  ASSERT_EQ(Ask("acme").code, Verdict::Code::kOk);
  limiter.Set(ToldLimiter::Mode::kFail);
  ASSERT_TRUE(WaitUntil([&] {
    Ask("acme");
    return MetricsShow("cacheapi_limiter_breaker_state 1");
  }));
  const size_t before = limiter.count();
  Ask("acme");
  Ask("acme");
  EXPECT_LE(limiter.count(), before + 1) << "one at most tries it, should open_for have passed";
  limiter.Set(ToldLimiter::Mode::kOverLimit);
  EXPECT_TRUE(WaitUntil([&] { return Ask("acme").code == Verdict::Code::kOverLimit; }));
  EXPECT_TRUE(WaitUntil([&] {
    Ask("acme");
    return MetricsShow("cacheapi_limiter_breaker_state 0");
  }));
}

TEST_F(LimiterClientTest, ALimiterThatIsNotThereIsUnavailableAndFoundWhenItComes) {
  int port = 0;
  std::string target;
  {
    ToldLimiter gone;
    target = gone.target();
    port = std::stoi(target.substr(target.find(':') + 1));
  }
  Start(To(target));
  EXPECT_EQ(Ask("acme").code, Verdict::Code::kOk);
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"unavailable\"} 1"));
  ToldLimiter limiter(port);
  ASSERT_TRUE(limiter.started.ok()) << limiter.started;
  EXPECT_TRUE(WaitUntil([&] { return !Ask("acme").fields.empty(); }));
}

TEST_F(LimiterClientTest, QuestionsOnTheirWayAreBounded) {
  ToldLimiter limiter;
  limiter.Set(ToldLimiter::Mode::kSilent);
  LimiterClient::Options options = To(limiter.target());
  options.max_outstanding = 4;
  Start(options);
  std::atomic<int> decided = 0;
  own_.Do([&] {
    for (int i = 0; i < 10; ++i) {
      client_->Ask("acme", Clock::time_point::max(), trace_, [&](const Verdict&) { ++decided; });
    }
  });
  EXPECT_EQ(decided, 6);
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"too_many\"} 6"));
}

TEST_F(LimiterClientTest, WhatACallerCutsShortSaysNothingAboutTheLimiter) {
  ToldLimiter limiter;
  limiter.Set(ToldLimiter::Mode::kSilent);
  Start(To(limiter.target()));
  for (int i = 0; i < 6; ++i) Ask("acme", Millis(10));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"timeout\"} 6"));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_failures_total{why=\"breaker_open\"} 0"));
  EXPECT_TRUE(MetricsShow("cacheapi_limiter_breaker_state 0"));
}

TEST_F(LimiterClientTest, WhatIsLeftWhenItGoesIsDropped) {
  ToldLimiter limiter;
  limiter.Set(ToldLimiter::Mode::kSilent);
  Start(To(limiter.target()));
  auto kept = std::make_shared<int>(0);
  own_.Do([&] { client_->Ask("acme", Clock::time_point::max(), trace_, [kept](const Verdict&) { ++*kept; }); });
  ASSERT_TRUE(WaitUntil([&] { return limiter.count() == 1; }));
  own_.Do([&] { client_.reset(); });
  EXPECT_EQ(*kept, 0);
  EXPECT_EQ(kept.use_count(), 1) << "nobody holds the callback any more";
}

}  // namespace
}  // namespace lab::cacheapi
