#include "services/ratelimit/config.h"

#include <utility>
#include <vector>

#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

void DeclareRedis(app::Schema& schema, redis::Options& redis) {
  using std::chrono::hours;
  schema.String("redis.host", &redis.host, "Address of the Redis server");
  schema.Int("redis.port", &redis.port, 1, 65535, "Port of the Redis server");
  schema.Duration(
      "redis.deadline", &redis.deadline, Nanos(0), Millis(20),
      "Bound on every store operation. Envoy waits 20 ms for an answer: stay below. 0: none, to show its cost");
  schema.Int("redis.connections", &redis.connections, 1, 16, "Connections; one is fastest on one core of Redis");
  schema.Int("redis.max_outstanding", &redis.max_outstanding, 1, 1'000'000,
             "Operations that may wait for Redis, expired ones included; more fail at once");
  schema.Int("redis.breaker.failures", &redis.breaker.failures, 1, 1'000'000,
             "Failures in a row that open the breaker");
  schema.Duration("redis.breaker.open_for", &redis.breaker.open_for, Millis(1), hours(1),
                  "How long it stays open before Redis is probed");
}

void DeclareGrpc(app::Schema& schema, rpc::Server::Options& grpc) {
  schema.String("grpc.host", &grpc.host, "Address to listen on");
  schema.Int("grpc.port", &grpc.port, 0, 65535, "Port to listen on; 0: any free one");
  schema.Int("grpc.max_in_flight", &grpc.max_in_flight, 1, 1'000'000, "Calls at once; more get RESOURCE_EXHAUSTED");
  schema.Int("grpc.max_message_bytes", &grpc.max_message_bytes, 1024, 4 << 20, "Largest request");
  schema.Bool("grpc.cork", &grpc.cork, "One segment a burst of replies");
}

void DeclareRules(app::Schema& schema, Options& options) {
  schema.String("rules.path", &options.rules_path, "Rules file, or a folder of them; empty: no limits");
  schema.Duration("rules.reload_every", &options.reload_every, Millis(10), std::chrono::hours(24),
                  "How often the rules are looked at for a change");
  schema.OneOf(
      "rules.on_store_failure", {"allow", "deny", "local"}, static_cast<size_t>(options.on_store_failure),
      [&options](size_t index) { options.on_store_failure = static_cast<FailurePolicy>(index); },
      "What a rule that says nothing itself answers while the store is away");
  schema.Bool("algorithms.count_rejected", &options.count_rejected,
              "Broken on purpose: sliding counters also count what they reject");
}

// What shows a mistake, or a clock that is wrong.
void DeclareTeaching(app::Schema& schema, Options& options) {
  schema.OneOf(
      "redis.mode", {"script", "read_then_write"}, static_cast<size_t>(options.redis_mode),
      [&options](size_t index) { options.redis_mode = static_cast<RedisMode>(index); },
      "Atomic, by a script; or broken on purpose: one command reads a count, another writes it");
  schema.OneOf(
      "clock.source", {"store", "replica"}, static_cast<size_t>(options.clock),
      [&options](size_t index) { options.clock = static_cast<ClockSource>(index); },
      "Whose clock places a request in its window: the store's, or each replica's own");
  schema.Duration("clock.skew", &options.clock_skew, Nanos(0), std::chrono::hours(1),
                  "For teaching: with clock.source: replica, the clock is fast by replica.number times this");
  schema.Int("replica.number", &options.replica, 0, 9'999, "Which of the replicas this is, from 0; for clock.skew");
}

}  // namespace

void Declare(app::Schema& schema, Options& options) {
  DeclareGrpc(schema, options.grpc);
  schema.OneOf(
      "store", {"redis", "memory"}, static_cast<size_t>(options.store),
      [&options](size_t index) { options.store = static_cast<StoreKind>(index); },
      "Where the counts are: in Redis, shared by all replicas, or in this process");
  DeclareRedis(schema, options.redis);
  DeclareTeaching(schema, options);
  DeclareRules(schema, options);
  schema.Int("local.replicas", &options.replicas, 1, 10'000, "Replicas that share a limit while the store is away");
  schema.Bool("local.share", &options.share,
              "With store: memory, each replica allows its share of a rule's limit, limit / local.replicas");
  schema.Int("local.max_keys", &options.local_max_keys, 1, 10'000'000,
             "Keys held in memory, and keys leased; the oldest unused go");
  schema.Bool("coalesce", &options.coalesce, "Equal requests of one turn share one entry of the store call");
  schema.Int("batch.max_requests", &options.max_batch, 1, 1024, "Entries in one atomic store call");
  schema.Int("batch.max_in_flight", &options.max_in_flight, 1, 100'000,
             "Store calls on their way before what comes gathers, for half a millisecond at most");
  schema.Bool("headers", &options.headers, "RateLimit, RateLimit-Policy and Retry-After in the answer");
  schema.Int("limits.max_descriptors", &options.bounds.max_descriptors, 1, 1024, "Descriptors of a request");
  schema.Int("limits.max_entries", &options.bounds.max_entries, 1, 1024, "Entries of a descriptor");
  schema.Int("limits.max_key_bytes", &options.bounds.max_key_bytes, 16, 1 << 20,
             "Bytes of the keys and values of a descriptor");
}

RuleDefaults RuleDefaultsOf(const Options& options) {
  return {options.on_store_failure, options.replicas, options.count_rejected, options.share,
          options.redis_mode == RedisMode::kReadThenWrite};
}

absl::Status Check(Options& options) {
  if (options.share && options.store != StoreKind::kMemory) {
    return absl::InvalidArgumentError("local.share: true divides the limits of store: memory; Redis holds whole ones");
  }
  absl::StatusOr<std::string> password = app::SecretFromEnvironment("REDIS_PASSWORD");
  if (!password.ok()) return password.status();
  options.redis.password = *std::move(password);
  if (options.rules_path.empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<RulesFile>> files = ReadRulesFiles(options.rules_path);
  if (!files.ok()) return absl::InvalidArgumentError(Concat("rules.path: ", std::string(files.status().message())));
  return ParseRules(*files, RuleDefaultsOf(options)).status();
}

}  // namespace lab::ratelimit
