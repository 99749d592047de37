// The Go reference service (envoyproxy/ratelimit) beside ours: fixed window on both, same client, same Redis, same cores.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/sections.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {
namespace {

constexpr char kModule[] = "github.com/envoyproxy/ratelimit/src/service_cmd@latest";

absl::StatusOr<std::string> InstallPeer(const std::string& state) {
  const std::string folder = absl::StrCat(state, "/go-bin");
  const std::string binary = absl::StrCat(folder, "/service_cmd");
  if (access(binary.c_str(), X_OK) == 0) return binary;
  std::printf("\npeer: go install %s (a minute)\n", kModule);
  std::fflush(stdout);
  const std::string command = absl::StrCat("GOBIN='", folder, "' go install ", kModule);
  if (std::system(command.c_str()) != 0) {
    return absl::NotFoundError(
        "the reference service could not be installed: it needs `go` and the Go module proxy; give --peer-binary PATH");
  }
  return binary;
}

absl::StatusOr<Server> StartPeer(Spawner& spawner, const Setup& setup, const std::string& binary, int redis_port) {
  const std::string root = absl::StrCat(setup.folder, "/peer");
  for (const char* folder : {"", "/ratelimit", "/ratelimit/config"}) mkdir(absl::StrCat(root, folder).c_str(), 0755);
  const std::string rules =
      "domain: bench\ndescriptors:\n  - key: fixed_window\n    rate_limit: {unit: second, requests_per_unit: 1000000}\n";
  if (absl::Status status = WriteFileAtomic(absl::StrCat(root, "/ratelimit/config/bench.yaml"), rules); !status.ok()) {
    return status;
  }
  int ports[3];
  for (int& port : ports) {
    absl::StatusOr<int> free = FreePort();
    if (!free.ok()) return free.status();
    port = *free;
  }
  return StartServer(spawner, setup, "peer", binary, {}, ports[0],
                     {"USE_STATSD=false", "REDIS_SOCKET_TYPE=tcp", absl::StrCat("REDIS_URL=127.0.0.1:", redis_port),
                      absl::StrCat("RUNTIME_ROOT=", root), "RUNTIME_SUBDIRECTORY=ratelimit", "RUNTIME_WATCH_ROOT=false",
                      "HOST=127.0.0.1", "GRPC_HOST=127.0.0.1", "DEBUG_HOST=127.0.0.1", absl::StrCat("GRPC_PORT=", ports[0]),
                      absl::StrCat("PORT=", ports[1]), absl::StrCat("DEBUG_PORT=", ports[2]), "LOG_LEVEL=error"});
}

}  // namespace

absl::Status BenchPeer(const Setup& setup, Spawner& spawner, std::string binary, const std::string& state) {
  if (binary.empty()) {
    absl::StatusOr<std::string> installed = InstallPeer(state);
    if (!installed.ok()) return installed.status();
    binary = *installed;
  }
  redis::TestServer redis;
  absl::StatusOr<Server> peer = StartPeer(spawner, setup, binary, redis.port());
  if (!peer.ok()) return peer.status();
  absl::StatusOr<Server> ours = StartLimiter(spawner, setup, "ours", redis.port());
  if (!ours.ok()) return ours.status();

  const struct {
    const char* name;
    int outstanding;
    uint32_t keys;
    double wanted;
  } cases[] = {{"1 outstanding", 1, 10'000, 1.6},
               {"16 outstanding", 16, 10'000, 4},
               {"64 outstanding", 64, 10'000, 4},
               {"256 outstanding", 256, 10'000, 0},
               {"64, one hot key", 64, 1, 0}};
  std::printf("\npeer: envoyproxy/ratelimit (Go) and ours, fixed window, same Redis, closed loop, medians of %d rounds in turn\n",
              setup.rounds());
  std::printf("  %-18s %10s %10s %8s %12s %12s %8s  %s\n", "", "peer/s", "ours/s", "ratio", "peer p99 us", "ours p99 us",
              "share", "wanted");
  for (const auto& one : cases) {
    std::vector<double> theirs, mine, ratio, their_p99, my_p99, tail;
    for (int round = 0; round < setup.rounds(); ++round) {
      ClosedLoopResult results[2];
      for (int i = 0; i < 2; ++i) {
        const Server& server = i == 0 ? *peer : *ours;
        absl::StatusOr<ClosedLoopResult> result = MeasureClosedLoop(
            {server.address, server.process->pid(), "fixed_window", one.keys, one.outstanding, setup.seconds()});
        if (!result.ok()) return result.status();
        if (result->failed > 0) return absl::InternalError(absl::StrCat(one.name, ": ", result->failed, " calls failed"));
        results[i] = *result;
      }
      theirs.push_back(results[0].calls_per_s);
      mine.push_back(results[1].calls_per_s);
      ratio.push_back(results[1].calls_per_s / results[0].calls_per_s);
      their_p99.push_back(results[0].p99_s * 1e6);
      my_p99.push_back(results[1].p99_s * 1e6);
      tail.push_back(results[1].p99_s / results[0].p99_s);
    }
    std::printf("  %-18s %10.0f %10.0f %8.1f %12.0f %12.0f %8.2f ", one.name, Median(theirs), Median(mine), Median(ratio),
                Median(their_p99), Median(my_p99), Median(tail));
    if (one.wanted > 0) {
      std::printf(" >= %.1f %s, p99 share <= 0.33 %s", one.wanted, Median(ratio) >= one.wanted ? "yes" : "NO",
                  Median(tail) <= 1.0 / 3 ? "yes" : "NO");
    }
    std::printf("\n");
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
