// The gRPC edge at 64 outstanding: the complete limiter as a share of a bare echo of the same messages.
#include <cstdio>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"

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

using Results = std::vector<ClosedLoopResult>;  // of one variant, one a round

void PrintHead() {
  std::printf("  %-34s %9s %6s %13s %7s %7s %9s %9s %9s %11s  %s\n", "", "calls/s", "share", "quartiles", "p50 us",
              "p99 us", "client us", "server us", "Redis us", "Redis calls", "wanted");
}

// `shares` is empty for the echo.
void Print(const Mode& mode, const Results& results, const std::vector<double>& shares) {
  const auto median = [&](double ClosedLoopResult::*figure) { return Median(Column(results, figure)); };
  std::printf("  %-34s %9.0f ", mode.name, median(&ClosedLoopResult::calls_per_s));
  const Quartiles share = QuartilesOf(shares);
  if (shares.empty()) {
    std::printf("%6s %13s", "1", "");
  } else {
    std::printf("%6.2f %5.2f .. %4.2f", share.median, share.low, share.high);
  }
  std::printf(" %7.0f %7.0f %9.2f %9.2f", median(&ClosedLoopResult::p50_us), median(&ClosedLoopResult::p99_us),
              median(&ClosedLoopResult::client_us), median(&ClosedLoopResult::server_us));
  if (mode.on_redis) {
    std::printf(" %9.2f %11.3f", median(&ClosedLoopResult::redis_us), median(&ClosedLoopResult::redis_calls));
  } else {
    std::printf(" %9s %11s", "-", "-");
  }
  if (mode.wanted > 0) std::printf("  >= %.2f %s", mode.wanted, AtLeast(share, mode.wanted));
  std::printf("\n");
  std::fflush(stdout);
}

class Edge {
 public:
  Edge(const Setup& setup, redis::TestServer& redis) : setup_(setup), redis_(redis) {}

  absl::Status Measure(const Mode& mode, Results& results) {
    const double calls_before = mode.on_redis ? ScriptCalls(redis_) : 0;
    absl::StatusOr<ClosedLoopResult> result = MeasureClosedLoop({.address = mode.server->address,
                                                                 .server = mode.server->process->pid(),
                                                                 .redis = mode.on_redis ? redis_.pid() : 0,
                                                                 .key = mode.key,
                                                                 .keys = mode.keys,
                                                                 .seconds = setup_.seconds()});
    if (!result.ok()) {
      return absl::Status(result.status().code(), absl::StrCat(mode.name, ": ", result.status().message()));
    }
    if (mode.on_redis) result->redis_calls = (ScriptCalls(redis_) - calls_before) / static_cast<double>(result->calls);
    results.push_back(*result);
    return absl::OkStatus();
  }

 private:
  const Setup& setup_;
  redis::TestServer& redis_;
};

}  // namespace

absl::Status BenchEdge(const Setup& setup) {
  const auto redis = StartRedis();
  if (!redis.ok()) return redis.status();
  const absl::StatusOr<Server> echo = StartEcho(setup);
  if (!echo.ok()) return echo.status();
  const absl::StatusOr<Server> memory = StartLimiter(setup, "memory", 0);
  if (!memory.ok()) return memory.status();
  const absl::StatusOr<Server> on_redis = StartLimiter(setup, "redis", (*redis)->port());
  if (!on_redis.ok()) return on_redis.status();
  const absl::StatusOr<Server> single = StartLimiter(setup, "single", (*redis)->port(), {"coalesce=false"});
  if (!single.ok()) return single.status();

  const Mode bare = {"echo", &*echo, "fixed_window", 10'000, false, 0};
  const Mode modes[] = {
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
  std::printf("\nedge: gRPC, 64 outstanding, closed loop; each mode in %d pairs of %.1f s with the echo\n",
              setup.rounds(), setup.seconds());
  PrintHead();
  Edge edge(setup, **redis);
  Results all_echoes;
  for (const Mode& mode : modes) {
    Results base, ours;
    const absl::Status status = Alternate(
        setup.rounds(), [&] { return edge.Measure(bare, base); }, [&] { return edge.Measure(mode, ours); });
    if (!status.ok()) return status;
    Print(mode, ours,
          Ratios(Column(ours, &ClosedLoopResult::calls_per_s), Column(base, &ClosedLoopResult::calls_per_s)));
    all_echoes.insert(all_echoes.end(), base.begin(), base.end());
  }
  Print(bare, all_echoes, {});
  std::printf(
      "  (share: of the echo's calls/s in the same pair, median and quartiles; the rest: medians; client, server, "
      "Redis us: CPU a call; Redis calls: script calls a decision)\n");
  return absl::OkStatus();
}

}  // namespace lab::bench
