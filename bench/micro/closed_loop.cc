#include "bench/micro/closed_loop.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/load/figures.h"
#include "bench/load/generator.h"
#include "bench/observe/process_figures.h"

namespace lab::bench {
namespace {

double CpuSeconds(pid_t pid) {
  if (pid <= 0) return 0;
  const std::optional<ProcessFigures> figures = ReadProcess(pid);
  return figures ? figures->cpu_s : 0;
}

}  // namespace

std::vector<double> Column(const std::vector<ClosedLoopResult>& results, double ClosedLoopResult::*figure) {
  std::vector<double> column;
  for (const ClosedLoopResult& result : results) column.push_back(result.*figure);
  return column;
}

CpuMeter::CpuMeter(pid_t pid) : pid_(pid), before_s_(CpuSeconds(pid)) {}

double CpuMeter::PerCall(uint64_t calls) const {
  return calls == 0 ? 0 : (CpuSeconds(pid_) - before_s_) * 1e6 / static_cast<double>(calls);
}

absl::StatusOr<ClosedLoopResult> MeasureClosedLoop(const ClosedLoop& what) {
  const double warm = what.seconds / 5;
  LoadSpec load;
  load.name = "closed";
  load.target = what.target;
  load.arrivals = Arrivals::kClosed;
  load.closed_clients = what.outstanding;
  load.keys.kind = KeySpec::Kind::kUniform;
  load.keys.count = what.keys;
  load.max_in_flight = what.outstanding;
  load.request = what.request;
  if (load.request.empty()) load.request = {{"domain", "bench"}, {"key", what.key}};

  Generator::Options options;
  options.loads = {load};
  options.phases = {{"warm", 0, warm}, {"measure", warm, warm + what.seconds}};
  options.endpoints = {{what.target, {what.address}}};
  options.realtime = false;  // a closed loop has no schedule to keep, and must not keep the servers off the cores
  options.max_ops = static_cast<size_t>((warm + what.seconds) * 400'000);
  Generator generator(std::move(options));
  if (absl::Status status = generator.Connect(); !status.ok()) return status;
  const CpuMeter server(what.server), redis(what.redis);
  if (absl::Status status = generator.Run(); !status.ok()) return status;

  const LoadFigures figures = FiguresOf(generator.TakeOps(), warm, warm + what.seconds);
  ClosedLoopResult result;
  result.calls = figures.sent;
  result.server_us = server.PerCall(figures.sent);
  result.redis_us = redis.PerCall(figures.sent);
  if (figures.latency.count() == 0) return absl::UnavailableError(absl::StrCat(what.address, ": no call was answered"));
  if (figures.ok < figures.sent || figures.limited > 0) {
    return absl::InternalError(absl::StrCat("of ", figures.sent, " calls ", figures.failed, " failed, ",
                                            figures.unknown, " had no answer and ", figures.limited, " were limited"));
  }
  result.calls_per_s = figures.ok_per_s;
  result.p50_us = static_cast<double>(figures.service.Quantile(0.5)) / 1e3;
  result.p99_us = static_cast<double>(figures.service.Quantile(0.99)) / 1e3;
  result.client_us = generator.cpu_s() * 1e6 / static_cast<double>(figures.sent);
  return result;
}

}  // namespace lab::bench
