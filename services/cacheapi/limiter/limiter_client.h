#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "services/runtime/async/breaker.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"

namespace lab::failpoint {
class Controller;
}

namespace lab::rpc {
class Queue;
}

namespace lab::cacheapi {

// Asks a rate limiter that speaks envoy.service.ratelimit.v3 (ours, or any other) whether a tenant's request may pass:
// one descriptor, `descriptor_key` = tenant. Never waits longer than its deadline. While the limiter fails, or asks for
// more calls than may be outstanding, the policy decides; the breaker keeps calls from a limiter that has failed, and
// lets one at a time through to see whether it is back. On the loop's thread.
//   cacheapi_limiter_decisions_total{outcome=ok|over_limit|allowed_by_policy|denied_by_policy}
//   cacheapi_limiter_failures_total{why=timeout|unavailable|error|breaker_open|too_many}
//   cacheapi_limiter_breaker_state    0 closed, 1 open, 2 half-open
//   rpc_client_*{client="ratelimit"}  (rpc/client.h)
class LimiterClient {
 public:
  enum class OnFailure { kAllow, kDeny };
  struct Options {
    std::string target;               // "127.0.0.1:8081"; empty: there is no limiter
    std::string domain = "cacheapi";  // of the rules
    std::string descriptor_key = "tenant";
    std::string no_tenant = "anonymous";  // counts all who do not say who they are, together
    Nanos deadline = Millis(20);          // what Envoy waits
    int max_outstanding = 1024;
    OnFailure on_failure = OnFailure::kAllow;
    async::Breaker::Options breaker;
  };
  // RateLimit, RateLimit-Policy, Retry-After and X-RateLimit-*, as the limiter gave them.
  using Fields = std::vector<std::pair<std::string, std::string>>;
  struct Verdict {
    enum class Code { kOk, kOverLimit, kUnknown };  // kUnknown: the limiter fails, and the policy is to deny
    Code code = Code::kOk;
    Fields fields;  // empty where the policy decided
  };
  using Done = absl::AnyInvocable<void(Verdict)>;

  LimiterClient(rpc::Queue& queue, Options options, obs::Metrics& metrics, obs::Tracer& tracer,
                failpoint::Controller* failpoints);
  // Calls that are left end unheard: their `done` is dropped.
  ~LimiterClient();
  LimiterClient(const LimiterClient&) = delete;
  LimiterClient& operator=(const LimiterClient&) = delete;

  // `tenant` is text (UTF-8), "" for one who does not say. `done` runs once, at `deadline` or the own one at the
  // latest, and within this call where nobody is asked.
  void Ask(std::string_view tenant, Clock::time_point deadline, const obs::TraceContext& trace, Done done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::cacheapi
