#include "services/cacheapi/limiter/limiter_client.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/runtime/rpc/client.h"
#include "services/runtime/rpc/queue.h"

namespace lab::cacheapi {
namespace {

namespace rls = envoy::service::ratelimit::v3;
using Verdict = LimiterClient::Verdict;

constexpr char kMethod[] = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";
constexpr int kMostFields = 16;
constexpr size_t kMostFieldBytes = 1024;

enum Outcome : size_t { kPassed, kOver, kAllowed, kDenied };
enum Why : size_t { kTimeout, kUnavailable, kError, kBreakerOpen, kTooMany };

// Only what is of rate limits: the answer of a neighbour must not be able to change anything else of ours.
bool IsField(std::string_view name, std::string_view value) {
  const std::string lower = absl::AsciiStrToLower(absl::string_view(name.data(), name.size()));
  const auto begins = [&lower](std::string_view with) { return lower.compare(0, with.size(), with) == 0; };
  const auto is_name = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-'; };
  const auto is_value = [](char c) { return c >= 0x20 && c <= 0x7e; };
  return (lower == "retry-after" || begins("ratelimit") || begins("x-ratelimit")) &&
         name.size() + value.size() <= kMostFieldBytes && std::all_of(name.begin(), name.end(), is_name) &&
         std::all_of(value.begin(), value.end(), is_value);
}

LimiterClient::Fields FieldsOf(const rls::RateLimitResponse& response) {
  LimiterClient::Fields fields;
  for (const auto& header : response.response_headers_to_add()) {
    if (fields.size() == kMostFields) break;
    if (IsField(header.key(), header.value())) fields.emplace_back(header.key(), header.value());
  }
  return fields;
}

Why WhyOf(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return kTimeout;
  return absl::IsUnavailable(status) ? kUnavailable : kError;
}

struct Metrics {
  explicit Metrics(obs::Metrics& m)
      : breaker(m.AddGauge("cacheapi_limiter_breaker_state",
                           "Of the breaker before the rate limiter: 0 closed, 1 open, 2 half-open")) {
    constexpr const char* kOutcomes[] = {"ok", "over_limit", "allowed_by_policy", "denied_by_policy"};
    for (size_t i = 0; i < decisions.size(); ++i) {
      decisions[i] = &m.AddCounter("cacheapi_limiter_decisions_total", "Requests by what the rate limit was to them",
                                   {{"outcome", kOutcomes[i]}});
    }
    constexpr const char* kWhys[] = {"timeout", "unavailable", "error", "breaker_open", "too_many"};
    for (size_t i = 0; i < failures.size(); ++i) {
      failures[i] = &m.AddCounter("cacheapi_limiter_failures_total",
                                  "Requests that the policy decided, by why the limiter did not", {{"why", kWhys[i]}});
    }
  }
  std::array<obs::Counter*, 4> decisions;
  std::array<obs::Counter*, 5> failures;
  obs::Gauge& breaker;
};

}  // namespace

struct LimiterClient::Impl {
  // One question on its way.
  struct Question {
    rls::RateLimitResponse response;
    Done done;
    bool cut_short = false;  // its time is the caller's, which is less than the limiter is given
  };

  Impl(rpc::Queue& queue, Options with, obs::Metrics& to, obs::Tracer& tracer, failpoint::Controller* failpoints)
      : options(std::move(with)),
        metrics(to),
        breaker(options.breaker),
        alive(std::make_shared<bool>(true)),
        client(queue, options.target, tracer, failpoints, {&to, "ratelimit"}) {
    request.set_domain(options.domain);
    entry = request.add_descriptors()->add_entries();
    entry->set_key(options.descriptor_key);
  }
  ~Impl() { *alive = false; }

  void ByPolicy(Why why, Done done) {
    const bool allow = options.on_failure == OnFailure::kAllow;
    metrics.failures[why]->Increment();
    metrics.decisions[allow ? kAllowed : kDenied]->Increment();
    done({allow ? Verdict::Code::kOk : Verdict::Code::kUnknown, {}});
  }

  // What a caller cut short says nothing about the limiter.
  void Count(const absl::Status& status, const Question& question) {
    if (absl::IsDeadlineExceeded(status) && question.cut_short) return;
    status.ok() ? breaker.Succeeded(Clock::now()) : breaker.Failed(Clock::now());
    metrics.breaker.Set(static_cast<double>(breaker.state()));
  }

  void Answered(Question& question, absl::Status status) {
    const rls::RateLimitResponse& response = question.response;
    if (status.ok() && response.overall_code() == rls::RateLimitResponse::UNKNOWN) {
      status = absl::InternalError("the rate limiter's answer says neither OK nor OVER_LIMIT");
    }
    Count(status, question);
    if (!status.ok()) return ByPolicy(WhyOf(status), std::move(question.done));
    const bool over = response.overall_code() == rls::RateLimitResponse::OVER_LIMIT;
    metrics.decisions[over ? kOver : kPassed]->Increment();
    question.done({over ? Verdict::Code::kOverLimit : Verdict::Code::kOk, FieldsOf(response)});
  }

  const Options options;
  Metrics metrics;
  async::Breaker breaker;
  rls::RateLimitRequest request;  // reused: it is encoded within the call
  envoy::extensions::common::ratelimit::v3::RateLimitDescriptor::Entry* entry;
  std::shared_ptr<bool> alive;  // shared with calls in flight, which the client ends when it goes
  rpc::Client client;           // last: it ends them first
};

LimiterClient::LimiterClient(rpc::Queue& queue, Options options, obs::Metrics& metrics, obs::Tracer& tracer,
                             failpoint::Controller* failpoints)
    : impl_(std::make_unique<Impl>(queue, std::move(options), metrics, tracer, failpoints)) {}

LimiterClient::~LimiterClient() = default;

void LimiterClient::Ask(std::string_view tenant, Clock::time_point deadline, const obs::TraceContext& trace,
                        Done done) {
  const Clock::time_point now = Clock::now();
  if (impl_->client.in_flight() >= static_cast<size_t>(impl_->options.max_outstanding)) {
    return impl_->ByPolicy(kTooMany, std::move(done));
  }
  if (!impl_->breaker.Allow(now)) return impl_->ByPolicy(kBreakerOpen, std::move(done));
  impl_->entry->set_value(tenant.empty() ? impl_->options.no_tenant : std::string(tenant));
  auto question = std::make_unique<Impl::Question>();
  const Clock::time_point own = now + impl_->options.deadline;
  question->cut_short = deadline < own;
  question->done = std::move(done);
  rls::RateLimitResponse* response = &question->response;
  auto answered = [impl = impl_.get(), alive = impl_->alive,
                   question = std::move(question)](absl::Status status) mutable {
    if (*alive) impl->Answered(*question, std::move(status));
  };
  impl_->client.Call(kMethod, impl_->request, response, std::min(deadline, own), trace, std::move(answered));
}

}  // namespace lab::cacheapi
