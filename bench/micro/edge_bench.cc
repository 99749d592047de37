// The gRPC edge at 64 outstanding: the complete limiter as a share of a bare echo of the same messages.
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/sections.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

struct Mode {
  const char* name;
  const Server* server;
  const char* key;
  uint32_t keys;
  bool on_redis;
  double wanted;  // share of the echo; 0: none stated
};

// Script calls that the server has run so far.
double ScriptCalls(redis::TestServer& redis) {
  const std::string stats = redis.Command({"INFO", "commandstats"});
  const size_t at = stats.find("cmdstat_evalsha:calls=");
  double calls = 0;
  if (at != std::string::npos) {
    const size_t begin = at + sizeof("cmdstat_evalsha:calls=") - 1;
    (void)absl::SimpleAtod(stats.substr(begin, stats.find(',', begin) - begin), &calls);
  }
  return calls;
}

struct Row {
  std::vector<double> rate, share, p50, p99, server_us, redis_us, redis_calls;
};

}  // namespace

absl::Status BenchEdge(const Setup& setup, Spawner& spawner) {
  redis::TestServer redis;
  absl::StatusOr<Server> echo = StartEcho(spawner, setup);
  if (!echo.ok()) return echo.status();
  absl::StatusOr<Server> memory = StartLimiter(spawner, setup, "memory", 0);
  if (!memory.ok()) return memory.status();
  absl::StatusOr<Server> on_redis = StartLimiter(spawner, setup, "redis", redis.port());
  if (!on_redis.ok()) return on_redis.status();
  absl::StatusOr<Server> single = StartLimiter(spawner, setup, "single", redis.port(), {"coalesce=false"});
  if (!single.ok()) return single.status();

  const Mode modes[] = {
      {"echo", &*echo, "fixed_window", 10'000, false, 0},
      {"memory, fixed window", &*memory, "fixed_window", 10'000, false, 0.9},
      {"memory, GCRA", &*memory, "gcra", 10'000, false, 0.9},
      {"Redis, fixed window", &*on_redis, "fixed_window", 10'000, true, 0.8},
      {"Redis, fixed window, one hot key", &*on_redis, "fixed_window", 1, true, 0.8},
      {"  the same, not coalesced", &*single, "fixed_window", 1, true, 0},
      {"Redis, GCRA", &*on_redis, "gcra", 10'000, true, 0.75},
      {"Redis, token bucket", &*on_redis, "token_bucket", 10'000, true, 0},
      {"Redis, sliding counter", &*on_redis, "sliding_counter", 10'000, true, 0},
      {"Redis, sliding log", &*on_redis, "sliding_log", 10'000, true, 0},
  };
  std::map<std::string, Row> rows;
  for (int round = 0; round < setup.rounds(); ++round) {
    double echo_rate = 0;
    for (const Mode& mode : modes) {
      const double calls_before = mode.on_redis ? ScriptCalls(redis) : 0;
      const std::optional<ProcessFigures> redis_before = ReadProcess(redis.pid());
      absl::StatusOr<ClosedLoopResult> result =
          MeasureClosedLoop({mode.server->address, mode.server->process->pid(), mode.key, mode.keys, 64, setup.seconds()});
      if (!result.ok()) return result.status();
      if (result->failed > 0) return absl::InternalError(absl::StrCat(mode.name, ": ", result->failed, " calls failed"));
      if (mode.server == &*echo) echo_rate = result->calls_per_s;
      Row& row = rows[mode.name];
      row.rate.push_back(result->calls_per_s);
      row.share.push_back(result->calls_per_s / echo_rate);
      row.p50.push_back(result->p50_s * 1e6);
      row.p99.push_back(result->p99_s * 1e6);
      row.server_us.push_back(result->server_cpu_us);
      const std::optional<ProcessFigures> redis_after = ReadProcess(redis.pid());
      const double calls = result->calls_per_s * setup.seconds() * 1.2;
      if (mode.on_redis && redis_before && redis_after) {
        row.redis_us.push_back((redis_after->cpu_s - redis_before->cpu_s) * 1e6 / calls);
        row.redis_calls.push_back((ScriptCalls(redis) - calls_before) / calls);
      }
    }
  }
  std::printf("\nedge: gRPC, 64 outstanding, closed loop, medians of %d rounds in turn\n", setup.rounds());
  std::printf("  %-34s %9s %8s %8s %8s %10s %10s %10s  %s\n", "", "calls/s", "share", "p50 us", "p99 us", "server us",
              "Redis us", "Redis calls", "wanted");
  for (const Mode& mode : modes) {
    const Row& row = rows[mode.name];
    std::printf("  %-34s %9.0f %8.2f %8.0f %8.0f %10.2f ", mode.name, Median(row.rate), Median(row.share), Median(row.p50),
                Median(row.p99), Median(row.server_us));
    if (mode.on_redis) {
      std::printf("%10.2f %10.3f ", Median(row.redis_us), Median(row.redis_calls));
    } else {
      std::printf("%10s %10s ", "-", "-");
    }
    if (mode.wanted > 0) std::printf(" >= %.2f %s", mode.wanted, Median(row.share) >= mode.wanted ? "yes" : "NO");
    std::printf("\n");
  }
  std::printf("  (server us, Redis us: CPU a call; Redis calls: script calls a decision)\n");
  return absl::OkStatus();
}

}  // namespace lab::bench
