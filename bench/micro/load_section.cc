// The load generator against the echo server, each pinned to a core.
#include <sys/resource.h>

#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/host/cores.h"
#include "bench/load/figures.h"
#include "bench/load/generator.h"
#include "bench/micro/closed_loop.h"
#include "bench/micro/sections.h"

namespace lab::bench {
namespace {

constexpr double kWarmS = 0.5;
// Below what the server takes at once (4,096), so that a server that cannot keep up shows as drops of the generator.
constexpr int kMostInFlight = 4'000;
// What the generator is to reach.
constexpr double kWantedRate = 80'000, kWantedLagUs = 1'000, kWantedCpuUs = 4;

// The first two CPUs that this process may use; -1 for both where there are no two.
struct Cores {
  int generator = -1, server = -1;
};

Cores ChooseCores() {
  const std::vector<int> cpus = AllowedCores(2);
  return cpus.size() < 2 ? Cores{} : Cores{cpus[0], cpus[1]};
}

// How often threads of this process went to sleep; but for the generator's, all of them wait meanwhile.
double Sleeps() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_nvcsw);
}

struct Driven {
  LoadFigures load;
  double cpu_s = 0, sleeps = 0, server_us = 0;
  bool realtime = false;
};

absl::StatusOr<Driven> Drive(const Server& server, int cpu, double rate, double seconds) {
  LoadSpec load;
  load.name = "open";
  load.target = "ratelimit.grpc";
  load.arrivals = Arrivals::kPoisson;
  load.rate.per_s = rate;
  load.keys.count = 10'000;
  load.max_in_flight = kMostInFlight;
  load.request = {{"domain", "bench"}, {"key", "fixed_window"}};
  Generator::Options options;
  options.loads = {load};
  options.phases = {{"warm", 0, kWarmS}, {"measure", kWarmS, kWarmS + seconds}};
  options.endpoints = {{"ratelimit.grpc", {server.address}}};
  options.cpu = cpu;
  Generator generator(std::move(options));
  if (absl::Status status = generator.Connect(); !status.ok()) return status;
  const CpuMeter meter(server.process->pid());
  const double sleeps_before = Sleeps();
  if (absl::Status status = generator.Run(); !status.ok()) return status;
  Driven driven;
  driven.sleeps = Sleeps() - sleeps_before;
  driven.load = FiguresOf(generator.TakeOps(), kWarmS, kWarmS + seconds);
  driven.server_us = meter.PerCall(driven.load.sent);
  driven.cpu_s = generator.cpu_s();
  driven.realtime = generator.realtime();
  return driven;
}

double CpuUs(const Driven& driven) { return driven.cpu_s * 1e6 / static_cast<double>(driven.load.sent); }

bool Reached(const Driven& driven) {
  return driven.load.dropped == 0 && static_cast<double>(driven.load.lag.Quantile(0.99)) < kWantedLagUs * 1e3 &&
         CpuUs(driven) <= kWantedCpuUs;
}

void Print(double rate, double length_s, const Driven& driven) {
  const auto us = [](const Histogram& histogram, double share) {
    return static_cast<double>(histogram.Quantile(share)) / 1e3;
  };
  const double calls = static_cast<double>(driven.load.sent);
  std::printf("  %10.0f %10.0f %11.0f %8.0f %8.0f %14.2f %7.1f %12.2f %10.2f %8llu\n", rate, driven.load.ok_per_s,
              us(driven.load.lag, 0.99), us(driven.load.latency, 0.5), us(driven.load.latency, 0.99), CpuUs(driven),
              driven.cpu_s * 100 / length_s, driven.sleeps / calls, driven.server_us,
              static_cast<unsigned long long>(driven.load.dropped));
  std::fflush(stdout);
}

}  // namespace

absl::Status BenchLoad(const Setup& setup) {
  const Cores cores = ChooseCores();
  const absl::StatusOr<Server> echo = StartEcho(setup, cores.server);
  if (!echo.ok()) return echo.status();
  std::printf("\nload: open-loop Poisson arrivals at the echo server, ");
  if (cores.server < 0) {
    std::printf("not pinned: this process may use one core only\n");
  } else {
    std::printf("the generator pinned to core %d, the server to core %d\n", cores.generator, cores.server);
  }
  std::printf("  %10s %10s %11s %8s %8s %14s %7s %12s %10s %8s\n", "offered/s", "ok/s", "lag p99 us", "p50 us",
              "p99 us", "generator us", "core %", "sleeps/call", "server us", "dropped");
  const double seconds = setup.quick ? 1.5 : 3;
  bool realtime = true, reached = false;
  for (const double rate : {4'000.0, 20'000.0, 50'000.0, kWantedRate, 100'000.0}) {
    const absl::StatusOr<Driven> driven = Drive(*echo, cores.generator, rate, seconds);
    if (!driven.ok()) return driven.status();
    Print(rate, kWarmS + seconds, *driven);
    realtime &= driven->realtime;
    if (rate == kWantedRate) reached = Reached(*driven);
    if (driven->load.ok < driven->load.sent) {
      return absl::InternalError(absl::StrCat("at ", rate, "/s ", driven->load.failed,
                                              " calls failed (the first with gRPC status ", driven->load.first_code,
                                              ") and ", driven->load.unknown, " had no answer"));
    }
  }
  std::printf(
      "  (wanted at %.0f/s: nothing dropped, lag p99 below %.0f us, at most %.0f us of generator CPU a call: %s)\n",
      kWantedRate, kWantedLagUs, kWantedCpuUs, reached ? "yes" : "NO");
  if (!realtime)
    std::printf("  (the generator had no right to real-time scheduling: its lag contains waiting for a core)\n");
  return absl::OkStatus();
}

}  // namespace lab::bench
