#include "services/ratelimit/rpc_service.h"

#include <optional>
#include <utility>

#include "envoy/service/ratelimit/v3/rls.pb.h"

namespace lab::ratelimit {

namespace {

constexpr char kMethod[] = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

}  // namespace

// A call with its messages, reused: their strings and arrays keep their memory.
struct RpcService::Exchange final : Pending {
  explicit Exchange(RpcService& owner) : service(owner) {}
  void Decided() override {
    response.Clear();
    Encode(*this, service.options_.headers, response);
    call->Reply(response);
    service.Release(*this);
  }

  RpcService& service;
  std::optional<rpc::Call> call;
  envoy::service::ratelimit::v3::RateLimitRequest request;
  envoy::service::ratelimit::v3::RateLimitResponse response;
};

RpcService::RpcService(rpc::Server& server, async::Loop& loop, Limiter& limiter, Metrics& metrics, Options options)
    : loop_(loop), limiter_(limiter), metrics_(metrics), options_(options) {
  server.Register(kMethod, "ratelimit.should_rate_limit", [this](rpc::Call call) { Handle(call); });
}

RpcService::~RpcService() = default;

void RpcService::Handle(rpc::Call call) {
  if (idle_.empty()) idle_.push_back(exchanges_.emplace_back(std::make_unique<Exchange>(*this)).get());
  Exchange& exchange = *idle_.back();
  if (!call.Parse(&exchange.request)) {
    metrics_.refused.Increment();
    return;
  }
  idle_.pop_back();
  exchange.call.emplace(call);
  absl::Status status = Decode(exchange.request, options_.bounds, exchange);
  if (status.ok()) status = limiter_.Decide(exchange, loop_.turn_time());
  if (status.ok()) return;
  metrics_.refused.Increment();
  call.Fail(status);
  Release(exchange);
}

void RpcService::Release(Exchange& exchange) {
  exchange.call.reset();
  idle_.push_back(&exchange);
}

}  // namespace lab::ratelimit
