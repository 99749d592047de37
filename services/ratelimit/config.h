#pragma once

#include <string>

#include "absl/status/status.h"
#include "services/ratelimit/codec.h"
#include "services/ratelimit/limiter.h"
#include "services/ratelimit/rules_file.h"
#include "services/runtime/app/config.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/rpc/server.h"

namespace lab::ratelimit {

enum class StoreKind { kRedis, kMemory };
enum class RedisMode { kScript, kReadThenWrite };
enum class ClockSource { kStore, kReplica };

// The configuration of the process, as its parts take it.
struct Options {
  rpc::Server::Options grpc{.port = 8081};
  StoreKind store = StoreKind::kRedis;
  redis::Options redis;
  RedisMode redis_mode = RedisMode::kScript;
  ClockSource clock = ClockSource::kStore;
  Nanos clock_skew{0};
  int replica = 0;
  std::string rules_path;
  Nanos reload_every = std::chrono::seconds(1);
  FailurePolicy on_store_failure = FailurePolicy::kAllow;
  int replicas = 1;
  bool share = false;
  int local_max_keys = 100'000;
  bool coalesce = true;
  int max_batch = 64;
  int max_in_flight = 2;
  bool count_rejected = false;
  bool headers = true;
  Bounds bounds;
};

// Declares every field of `options` with its range and a sentence; `options` must outlive `schema`.
void Declare(app::Schema& schema, Options& options);

// What the fields cannot say: the rules can be read and are right, and the password is there (REDIS_PASSWORD in the
// environment, or the file that REDIS_PASSWORD_FILE names). Every error a line.
absl::Status Check(Options& options);

RuleDefaults RuleDefaultsOf(const Options& options);

}  // namespace lab::ratelimit
