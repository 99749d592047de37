// The Go reference service (envoyproxy/ratelimit) beside ours: fixed window on both, same client, same Redis, same
// cores.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/external_client.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

constexpr char kVersion[] = "v1.4.1-0.20260122083618-3fb702589d36";
constexpr std::chrono::minutes kInstall{10};

// The binary of that version, built when it is not there yet.
absl::StatusOr<std::string> InstallPeer(const Setup& setup) {
  const std::string folder = absl::StrCat(setup.state, "/go-bin/ratelimit-", kVersion);
  const std::string binary = absl::StrCat(folder, "/service_cmd");
  if (access(binary.c_str(), X_OK) == 0) return binary;
  const std::string package = absl::StrCat("github.com/envoyproxy/ratelimit/src/service_cmd@", kVersion);
  std::printf("\npeer: go install %s (a minute)\n", package.c_str());
  std::fflush(stdout);
  Command command;
  command.binary = "/usr/bin/env";  // finds `go`
  command.arguments = {"env", absl::StrCat("GOBIN=", folder), "go", "install", package};
  for (char** variable = environ; *variable != nullptr; ++variable) command.environment.emplace_back(*variable);
  command.folder = setup.folder();
  command.log = absl::StrCat(setup.folder(), "/go-install.log");
  const absl::StatusOr<pid_t> pid = setup.workspace.spawner().Spawn("go-install", command);
  if (!pid.ok()) return pid.status();
  Process process(*pid);
  if (process.WaitEnd(kInstall) && *process.Poll() == 0) return binary;
  const absl::StatusOr<std::string> log = ReadFile(command.log);
  return absl::NotFoundError(
      absl::StrCat("the reference service could not be installed: it needs `go` and the Go module proxy; give "
                   "--peer-binary PATH\n",
                   log.ok() ? *log : ""));
}

absl::StatusOr<Server> StartPeer(const Setup& setup, const std::string& binary, int redis_port) {
  const std::string root = absl::StrCat(setup.folder(), "/peer");
  for (const char* folder : {"", "/ratelimit", "/ratelimit/config"}) mkdir(absl::StrCat(root, folder).c_str(), 0755);
  const std::string rules =
      "domain: bench\ndescriptors:\n  - key: fixed_window\n    rate_limit: {unit: second, requests_per_unit: "
      "1000000}\n";
  if (absl::Status status = WriteFileAtomic(absl::StrCat(root, "/ratelimit/config/bench.yaml"), rules); !status.ok()) {
    return status;
  }
  int ports[3];
  for (int& port : ports) {
    absl::StatusOr<int> free = FreePort();
    if (!free.ok()) return free.status();
    port = *free;
  }
  return StartServer(
      setup,
      {.name = "peer",
       .binary = binary,
       .environment = {"USE_STATSD=false", "REDIS_SOCKET_TYPE=tcp", absl::StrCat("REDIS_URL=127.0.0.1:", redis_port),
                       absl::StrCat("RUNTIME_ROOT=", root), "RUNTIME_SUBDIRECTORY=ratelimit",
                       "RUNTIME_WATCH_ROOT=false", "HOST=127.0.0.1", "GRPC_HOST=127.0.0.1", "DEBUG_HOST=127.0.0.1",
                       absl::StrCat("GRPC_PORT=", ports[0]), absl::StrCat("PORT=", ports[1]),
                       absl::StrCat("DEBUG_PORT=", ports[2]), "LOG_LEVEL=error"},
       .port = ports[0]});
}

struct Case {
  const char* name;
  int outstanding;
  uint32_t keys;
  double wanted;  // ratio of the rates; 0: none stated
};

using Results = std::vector<ClosedLoopResult>;  // of one server, one a round

void Print(const char* name, const char* server, const Results& results) {
  const auto median = [&](double ClosedLoopResult::*figure) { return Median(Column(results, figure)); };
  std::printf("  %-16s %-5s %9.0f %8.0f %10.2f %10.2f %9.2f", name, server, median(&ClosedLoopResult::calls_per_s),
              median(&ClosedLoopResult::p99_us), median(&ClosedLoopResult::client_us),
              median(&ClosedLoopResult::server_us), median(&ClosedLoopResult::redis_us));
}

void PrintCase(const Case& one, const Results& peer, const Results& ours) {
  Print(one.name, "peer", peer);
  std::printf("\n");
  Print("", "ours", ours);
  const auto ratios = [&](double ClosedLoopResult::*figure) {
    return QuartilesOf(Ratios(Column(ours, figure), Column(peer, figure)));
  };
  const Quartiles ratio = ratios(&ClosedLoopResult::calls_per_s), tail = ratios(&ClosedLoopResult::p99_us);
  std::printf("  %5.2f %5.2f .. %5.2f %9.2f ", ratio.median, ratio.low, ratio.high, tail.median);
  if (one.wanted > 0) {
    std::printf(" >= %.1f %s, p99 <= 0.33 %s", one.wanted, AtLeast(ratio, one.wanted), AtMost(tail, 1.0 / 3));
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

absl::Status BenchPeer(const Setup& setup, const PeerOptions& options) {
  const absl::StatusOr<std::string> binary =
      options.binary.empty() ? InstallPeer(setup) : absl::StatusOr<std::string>(options.binary);
  if (!binary.ok()) return binary.status();
  const auto redis = StartRedis();
  if (!redis.ok()) return redis.status();
  const absl::StatusOr<Server> peer = StartPeer(setup, *binary, (*redis)->port());
  if (!peer.ok()) return peer.status();
  const absl::StatusOr<Server> ours = StartLimiter(setup, "ours", (*redis)->port());
  if (!ours.ok()) return ours.status();

  // An external client connects and warms up within its time.
  const double seconds = options.client.empty() ? setup.seconds() : 2 * setup.seconds();
  const auto measure = [&](const Case& one, const Server& server, Results* results) {
    const ClosedLoop what{.address = server.address,
                          .server = server.process->pid(),
                          .redis = (*redis)->pid(),
                          .keys = one.keys,
                          .outstanding = one.outstanding,
                          .seconds = seconds};
    const absl::StatusOr<ClosedLoopResult> result =
        options.client.empty() ? MeasureClosedLoop(what) : MeasureWithClient(options.client, what);
    if (!result.ok()) return result.status();
    results->push_back(*result);
    return absl::OkStatus();
  };
  std::printf("\npeer: envoyproxy/ratelimit %s and ours, fixed window, same Redis\n",
              options.binary.empty() ? kVersion : options.binary.c_str());
  std::printf("  closed loop by %s; %d pairs of %.1f s each\n",
              options.client.empty() ? "our generator" : options.client.c_str(), setup.rounds(), seconds);
  std::printf("  %-16s %-5s %9s %8s %10s %10s %9s  %5s %14s %9s  %s\n", "outstanding", "", "calls/s", "p99 us",
              "client us", "server us", "Redis us", "ratio", "quartiles", "p99 ratio", "wanted");
  const Case cases[] = {{"1", 1, 10'000, 1.6},
                        {"16", 16, 10'000, 4},
                        {"64", 64, 10'000, 4},
                        {"256", 256, 10'000, 0},
                        {"64, one hot key", 64, 1, 0}};
  for (const Case& one : cases) {
    Results theirs, mine;
    const absl::Status status = Alternate(
        setup.rounds(), [&] { return measure(one, *peer, &theirs); }, [&] { return measure(one, *ours, &mine); });
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat(one.name, " outstanding: ", status.message()));
    }
    PrintCase(one, theirs, mine);
  }
  std::printf("  (ratios: ours / peer in the same pair, medians and quartiles; the rest: medians; us: CPU a call)\n");
  return absl::OkStatus();
}

}  // namespace lab::bench
