#include "bench/micro/closed_loop.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/load/generator.h"
#include "bench/model/histogram.h"
#include "bench/observe/process_figures.h"

namespace lab::bench {

absl::StatusOr<ClosedLoopResult> MeasureClosedLoop(const ClosedLoop& what) {
  const double warm = what.seconds / 5;
  LoadSpec load;
  load.name = "closed";
  load.target = "ratelimit.grpc";
  load.arrivals = Arrivals::kClosed;
  load.closed_clients = what.outstanding;
  load.keys.kind = KeySpec::Kind::kUniform;
  load.keys.count = what.keys;
  load.max_in_flight = what.outstanding;
  load.request = {{"domain", "bench"}, {"key", what.key}};

  Generator::Options options;
  options.loads = {load};
  options.phases = {{"warm", 0, warm}, {"measure", warm, warm + what.seconds}};
  options.endpoints = {{"ratelimit.grpc", {what.address}}};
  options.realtime = false;  // a closed loop has no schedule to keep, and must not keep the servers off the cores
  options.max_ops = static_cast<size_t>((warm + what.seconds) * 400'000);
  Generator generator(std::move(options));
  if (absl::Status status = generator.Connect(); !status.ok()) return status;
  const std::optional<ProcessFigures> before = ReadProcess(what.server);
  if (absl::Status status = generator.Run(); !status.ok()) return status;
  const std::optional<ProcessFigures> after = ReadProcess(what.server);

  ClosedLoopResult result;
  Histogram latency;
  const std::vector<Op> ops = generator.TakeOps();
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kDropped) continue;
    if (op.outcome != Outcome::kOk) ++result.failed;
    if (op.answer == Answer::kLimited) ++result.limited;
    if (op.done_ns >= static_cast<int64_t>(warm * 1e9)) latency.Add(op.service_ns());
  }
  if (latency.count() == 0) return absl::UnavailableError(absl::StrCat(what.address, ": no call was answered"));
  result.calls_per_s = static_cast<double>(latency.count()) / what.seconds;
  result.p50_s = static_cast<double>(latency.Quantile(0.5)) / 1e9;
  result.p99_s = static_cast<double>(latency.Quantile(0.99)) / 1e9;
  const double calls = static_cast<double>(ops.size());
  result.client_cpu_us = generator.cpu_s() * 1e6 / calls;
  if (before && after) result.server_cpu_us = (after->cpu_s - before->cpu_s) * 1e6 / calls;
  return result;
}

}  // namespace lab::bench
