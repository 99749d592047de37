#include "services/cacheapi/config.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"

namespace lab::cacheapi {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

void DeclareRedis(app::Schema& schema, redis::Options& redis) {
  schema.String("redis.host", &redis.host, "Address of the Redis server");
  schema.Int("redis.port", &redis.port, 1, 65535, "Port of the Redis server");
  schema.Duration("redis.deadline", &redis.deadline, Millis(1), seconds(10), "Bound on every operation of the cache");
  schema.Int("redis.connections", &redis.connections, 1, 16, "Connections; one is fastest on one core of Redis");
  schema.Int("redis.max_outstanding", &redis.max_outstanding, 1, 1'000'000,
             "Operations that may wait for Redis, expired ones included; more fail at once");
  schema.Int("redis.breaker.failures", &redis.breaker.failures, 1, 1'000'000,
             "Failures in a row that open the breaker");
  schema.Duration("redis.breaker.open_for", &redis.breaker.open_for, Millis(1), hours(1),
                  "How long it stays open before Redis is probed");
}

void DeclareOrigin(app::Schema& schema, Options& options) {
  schema.String("postgres.host", &options.reads.host, "Address of the PostgreSQL server, or the folder of its socket");
  schema.Int("postgres.port", &options.reads.port, 1, 65535, "Port of the PostgreSQL server");
  schema.String("postgres.database", &options.reads.database, "Name of the database");
  schema.String("postgres.user", &options.reads.user, "Role to connect as");
  schema.Int("origin.max_connections", &options.reads.connections, 1, 256,
             "Reads that the database may work on at once: its capacity");
  schema.Int("origin.max_waiting", &options.admission.max_waiting, 0, 1'000'000,
             "Reads that may wait for their turn; more fail at once");
  schema.OneOf(
      "origin.queue", {"shed", "fifo"}, options.admission.shed ? 0 : 1,
      [&options](size_t index) { options.admission.shed = index == 0; },
      "shed: who would wait longer than it has time fails at once. fifo is broken on purpose: all is done in turn, "
      "also for "
      "who has gone");
  schema.Duration("origin.deadline", &options.reads.deadline, Millis(1), minutes(10),
                  "Bound on every read, from its turn on");
  schema.Duration("origin.delay", &options.origin.delay, Nanos(0), minutes(1),
                  "For labs: slept by the database in each read, so that it is as slow as that on any host");
  schema.Int("origin.breaker.failures", &options.reads.breaker.failures, 1, 1'000'000,
             "Failures in a row that open the breaker");
  schema.Int("writes.connections", &options.writes.connections, 1, 64, "Connections for writes");
  schema.Duration("writes.deadline", &options.writes.deadline, Millis(1), minutes(10), "Bound on every write");
  schema.Duration("writes.remember", &options.requests.remember, minutes(10), hours(24 * 365),
                  "For how long an Idempotency-Key is known: a write that is sent again later is another one");
}

void DeclareCaches(app::Schema& schema, Options& options) {
  SharedCache::Options& shared = options.shared;
  schema.Bool("l2.enabled", &options.reader.shared, "The cache in Redis, which replicas share");
  schema.Duration("l2.ttl", &shared.ttl, Millis(1), hours(24 * 365), "For how long an entry is fresh");
  schema.Duration("l2.stale", &shared.stale, Nanos(0), hours(24 * 365),
                  "For how much longer it is kept, to be served stale");
  schema.Number("l2.jitter", &shared.jitter, 0, 1, "Each entry lives shorter by a random share of up to this");
  schema.Duration("l2.lease", &shared.lease, Millis(1), hours(1), "Longest fill; then another process may");
  schema.Duration("l2.tombstone", &shared.tombstone, Millis(1), hours(24), "How long nothing older may come back");
  schema.Bool("l1.enabled", &options.reader.local, "The cache in this process");
  schema.Int("l1.kib", &options.local_kib, 16, 67108864, "Its size");
  schema.OneOf(
      "l1.eviction", {"lru", "s3fifo", "tinylfu"}, static_cast<size_t>(options.local.eviction),
      [&options](size_t index) { options.local.eviction = static_cast<eviction::EvictionKind>(index); },
      "What leaves it when it is full");
  schema.Duration("l1.ttl", &options.reader.local_ttl, Millis(1), hours(24),
                  "Bound on what it keeps: of invalidations that are lost");
  schema.Duration("l1.stale", &options.reader.local_stale, Nanos(0), hours(24),
                  "For how much longer it is kept, to be served stale");
  schema.Bool("negative.enabled", &options.reader.negative, "Keep that there is none");
  schema.Duration("negative.ttl", &shared.negative_ttl, Millis(1), hours(1), "For how long");
}

void DeclareReads(app::Schema& schema, Options& options) {
  schema.OneOf(
      "fill", {"plain", "singleflight", "lease", "both"}, static_cast<size_t>(options.fill),
      [&options](size_t index) { options.fill = static_cast<Fill>(index); },
      "Who loads what is not there: everybody, one a process, one of all (by a lease in Redis), or both of these");
  schema.Bool("xfetch.enabled", &options.reader.early, "Refresh before the time, by chance (XFetch)");
  schema.Number("xfetch.beta", &options.reader.beta, 0.01, 100, "More refreshes earlier");
  schema.Bool("stale.while_revalidate", &options.reader.stale_while_revalidate,
              "What is stale is served, and refreshed beside");
  schema.Bool("stale.if_error", &options.reader.stale_if_error,
              "What is stale is served when the database does not answer");
  schema.Duration("request.deadline", &options.request_deadline, Millis(1), minutes(10), "Bound on every read");
  schema.Bool("key.window", &options.reader.window_in_key,
              "Broken on purpose when false: the windows of a brand read each other's answer");
  schema.Bool("request.cancels_fill", &options.reader.cancel_with_request,
              "Broken on purpose: a load whose request has gone is thrown away");
}

void DeclareWrites(app::Schema& schema, Options& options) {
  schema.OneOf(
      "write.pattern",
      {"delete_after_commit", "delete_before", "delete_in_transaction", "double_delete", "set_after_commit",
       "versioned_set", "write_through", "bury", "write_behind"},
      static_cast<size_t>(options.writer.pattern),
      [&options](size_t index) { options.writer.pattern = static_cast<WritePattern>(index); },
      "In which order a write touches the database and the cache");
  schema.Duration("write.second_delete", &options.writer.second_delete, Millis(1), minutes(1),
                  "Of double_delete: how long after the commit");
  schema.Bool("gate.enabled", &options.gate,
              "For the race explorer: requests that name themselves are held at each step");
}

}  // namespace

void Declare(app::Schema& schema, Options& options) {
  DeclareEdge(schema, options.edge);
  DeclareRedis(schema, options.redis);
  DeclareOrigin(schema, options);
  DeclareCaches(schema, options);
  DeclareReads(schema, options);
  DeclareWrites(schema, options);
  DeclareModes(schema, options);
  DeclareFeeds(schema, options.feeds);
}

absl::Status Check(Options& options) {
  std::vector<std::string> errors;
  for (auto& [name, secret] :
       {std::pair{"REDIS_PASSWORD", &options.redis.password}, std::pair{"PGPASSWORD", &options.reads.password}}) {
    absl::StatusOr<std::string> value = app::SecretFromEnvironment(name);
    if (value.ok()) {
      *secret = *std::move(value);
    } else {
      errors.emplace_back(value.status().message());
    }
  }
  options.local.bytes = static_cast<size_t>(options.local_kib) << 10;
  options.writes.host = options.reads.host;
  options.writes.port = options.reads.port;
  options.writes.database = options.reads.database;
  options.writes.user = options.reads.user;
  options.writes.password = options.reads.password;
  options.reader.single_flight = options.fill == Fill::kSingleFlight || options.fill == Fill::kBoth;
  options.reader.lease = options.fill == Fill::kLease || options.fill == Fill::kBoth;
  const bool versions =
      options.writer.pattern == WritePattern::kVersionedSet || options.writer.pattern == WritePattern::kBury;
  options.reader.newer_only = versions && !options.reader.lease;
  options.writer.tells_cache = options.feeds.invalidation == Invalidation::kWriter;
  options.origin.outbox = options.feeds.invalidation == Invalidation::kOutbox;
  CheckFeeds(options.feeds, options.reader.shared, options.writer.pattern == WritePattern::kWriteBehind, errors);
  // Who is held waits for whoever drives the gate, for as long as that one takes.
  // And an operation that a busy host has delayed must not be made twice.
  if (options.gate) {
    options.request_deadline = options.reads.deadline = options.writes.deadline = minutes(10);
    options.redis.deadline = minutes(1);
  }
  if (options.reader.lease && !options.reader.shared) errors.emplace_back("fill: a lease is kept in l2, which is off");
  if (options.reader.stale_while_revalidate && options.shared.stale == Nanos(0) && options.reader.shared) {
    errors.emplace_back("stale.while_revalidate: nothing is ever stale with l2.stale: 0s; set it to some minutes");
  }
  CheckModes(options, errors);
  if (errors.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

}  // namespace lab::cacheapi
