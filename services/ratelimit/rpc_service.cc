#include "services/ratelimit/rpc_service.h"

#include <optional>
#include <utility>

#include "envoy/service/ratelimit/v3/rls.pb.h"

namespace lab::ratelimit {

namespace {

constexpr char kMethod[] = "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit";

}  // namespace

// Of the call at hand, reused: their strings and arrays keep their memory, and stay in the cache. A request is not
// needed once it is being decided, a response not once it is sent.
struct RpcService::Messages {
  envoy::service::ratelimit::v3::RateLimitRequest request;
  envoy::service::ratelimit::v3::RateLimitResponse response;
  Question question;
};

// A call that is being decided.
struct RpcService::Exchange final : Pending {
  explicit Exchange(RpcService& owner) : service(owner) {}
  void Decided() override {
    Encode(*this, service.options_.headers, service.messages_->response);
    call->Reply(service.messages_->response);
    service.Release(*this);
  }

  RpcService& service;
  std::optional<rpc::Call> call;
};

RpcService::RpcService(async::Loop& loop, Limiter& limiter, Metrics& metrics, Options options)
    : loop_(loop), limiter_(limiter), metrics_(metrics), options_(options), messages_(std::make_unique<Messages>()) {}

RpcService::~RpcService() = default;

void RpcService::Register(rpc::Server& server) {
  server.Register(kMethod, "ratelimit.should_rate_limit", [this](rpc::Call call) { Handle(call); });
}

void RpcService::Handle(rpc::Call call) {
  Messages& messages = *messages_;
  if (!call.Parse(&messages.request)) {
    metrics_.refused.Increment();
    return;
  }
  if (idle_.empty()) idle_.push_back(exchanges_.emplace_back(std::make_unique<Exchange>(*this)).get());
  Exchange& exchange = *idle_.back();
  idle_.pop_back();
  exchange.call.emplace(call);
  absl::Status status = Decode(messages.request, options_.bounds, messages.question);
  if (status.ok()) status = limiter_.Decide(messages.question, exchange, loop_.turn_time());
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
