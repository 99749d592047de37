#include "services/cacheapi/config_edge.h"

namespace lab::cacheapi {
namespace {

void DeclareGrpc(app::Schema& schema, EdgeOptions& options) {
  rpc::Server::Options& grpc = options.grpc;
  schema.Bool("grpc.enabled", &options.grpc_enabled, "lab.cacheapi.v1.InsightsService beside HTTP");
  schema.String("grpc.host", &grpc.host, "Address to listen on");
  schema.Int("grpc.port", &grpc.port, 0, 65535, "Port to listen on; 0: any free one");
  schema.Int("grpc.max_in_flight", &grpc.max_in_flight, 1, 1'000'000, "Calls at once; more get RESOURCE_EXHAUSTED");
  schema.Int("grpc.max_connections", &grpc.max_connections, 1, 100'000, "Connections at a time; more are closed");
  schema.Int("grpc.max_message_bytes", &grpc.max_message_bytes, 1024, 4 << 20, "Largest request");
  schema.Duration("grpc.reply_timeout", &grpc.reply_timeout, Millis(10), std::chrono::hours(1),
                  "A client that has not taken its reply by then has its call reset");
  schema.Bool("grpc.cork", &grpc.cork, "One segment a burst of replies");
}

void DeclareLimiter(app::Schema& schema, LimiterClient::Options& limiter) {
  schema.String(
      "ratelimit.target", &limiter.target,
      "Address of a rate limiter that speaks envoy.service.ratelimit.v3, 127.0.0.1:8081; empty: none is asked");
  schema.String("ratelimit.domain", &limiter.domain, "Domain of its rules");
  schema.String("ratelimit.descriptor_key", &limiter.descriptor_key, "Key of the descriptor; its value is the tenant");
  schema.String("ratelimit.no_tenant", &limiter.no_tenant, "Tenant of all who send no X-Tenant");
  schema.Duration("ratelimit.deadline", &limiter.deadline, Millis(1), std::chrono::seconds(10),
                  "Bound on every question to it");
  schema.Int("ratelimit.max_outstanding", &limiter.max_outstanding, 1, 100'000,
             "Questions on their way; of more ratelimit.on_failure decides");
  schema.OneOf(
      "ratelimit.on_failure", {"allow", "deny"}, static_cast<size_t>(limiter.on_failure),
      [&limiter](size_t index) { limiter.on_failure = static_cast<LimiterClient::OnFailure>(index); },
      "What a request gets while it does not answer: it passes, or 503");
  schema.Int("ratelimit.breaker.failures", &limiter.breaker.failures, 1, 1'000'000,
             "Failures in a row that open the breaker");
  schema.Duration("ratelimit.breaker.open_for", &limiter.breaker.open_for, Millis(1), std::chrono::hours(1),
                  "How long it stays open before a request tries the limiter again");
}

}  // namespace

void DeclareEdge(app::Schema& schema, EdgeOptions& options) {
  DeclareGrpc(schema, options);
  DeclareLimiter(schema, options.limiter);
}

}  // namespace lab::cacheapi
