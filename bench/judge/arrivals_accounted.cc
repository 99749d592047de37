#include <algorithm>
#include <string>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

// every-arrival-accounted: every scheduled arrival ended in exactly one outcome, none twice, none that was not
// scheduled; their times are in order; and the service's own count of calls agrees with what was answered.
namespace lab::bench {
namespace {

constexpr double kNotYetCounted = 16;  // answers that were written as the counter was read for the last time
constexpr char kCalls[] = "rpc_server_calls_total";

bool IsClosed(const Lab& lab, const StreamInfo& stream) {
  for (const LoadSpec& load : lab.load) {
    const bool lane = std::any_of(load.lanes.begin(), load.lanes.end(),
                                  [&](const auto& candidate) { return candidate.first == stream.name; });
    if (load.name == stream.name || load.name == stream.load || lane) return load.arrivals == Arrivals::kClosed;
  }
  return false;
}

// How much the service's counter of calls rose over the whole load, of all replicas; or why that is not known. Probes
// are not in it: the counter leaves health checks out, and ours go to another port.
struct Counted {
  double calls = 0;
  std::string why;
};

Counted CallsCounted(const Trial& trial, const std::string& part, int64_t last_done_ns) {
  Counted counted;
  bool any = false;
  for (const Series& series : trial.series) {
    if (series.part != part || series.name != kCalls || series.samples.empty()) continue;
    const auto& samples = series.samples;
    for (size_t i = 1; i < samples.size(); ++i) {
      // What was counted after the last read of a process that died is nowhere.
      if (samples[i].second < samples[i - 1].second) counted.why = Concat(part, " began to count anew");
    }
    if (ToNanos(samples.back().first) < last_done_ns) counted.why = Concat(part, " was not read after the load");
    // A code that first shows up later began at 0 then.
    const double begin = samples.front().first <= 0 ? samples.front().second : 0;
    counted.calls += samples.back().second - begin;
    any = true;
  }
  if (!any) counted.why = Concat(part, " reported no ", kCalls);
  return counted;
}

// Returns why a service's count was not compared; "" when all were.
std::string CheckServiceCounts(const Trial& trial, InvariantResult& result) {
  std::string why;
  for (size_t first = 0; first < trial.streams.size(); ++first) {
    const std::string& target = trial.streams[first].target;
    const std::string part = target.substr(0, target.find('.'));
    if (target != part + ".grpc") {
      if (why.empty()) why = Concat(target, " has no counter of calls");
      continue;
    }
    bool seen = false;
    for (size_t i = 0; i < first; ++i) seen = seen || trial.streams[i].target == target;
    if (seen) continue;
    double answered = 0, sent = 0;
    int64_t last_done_ns = 0;
    for (const Op& op : trial.ops) {
      if (op.stream >= trial.streams.size() || trial.streams[op.stream].target != target) continue;
      if (op.outcome == Outcome::kOk) ++answered;
      if (op.outcome != Outcome::kDropped) sent += op.attempts;
      last_done_ns = std::max(last_done_ns, op.done_ns);
    }
    const Counted counted = CallsCounted(trial, part, last_done_ns);
    if (!counted.why.empty()) {
      why = counted.why;
    } else if (counted.calls < answered - kNotYetCounted || counted.calls > sent) {
      result.Break(Concat(part, " counted ", FormatQuantity(counted.calls, "ops"), " calls; ",
                          FormatQuantity(sent, "ops"), " were sent and ", FormatQuantity(answered, "ops"),
                          " answered"));
    }
  }
  return why;
}

InvariantResult Check(const Trial& trial, const Lab& lab, const Selectors&) {
  InvariantResult result;
  if (trial.ops.empty() || trial.streams.empty()) {
    result.why = "there are no operations";
    return result;
  }
  CheckRecords(trial, std::vector<bool>(trial.streams.size(), true), result);
  for (const StreamInfo& stream : trial.streams) {
    if (stream.schedule == nullptr && !IsClosed(lab, stream)) {
      result.why = Concat("the schedule of ", stream.name, " was not kept");
    }
  }
  const std::string not_compared = CheckServiceCounts(trial, result);
  if (result.broken > 0) {
    result.state = State::kFail;
  } else if (result.why.empty()) {
    result.state = State::kPass;
  }
  result.measured = result.broken > 0 ? Concat(result.broken, " of ", trial.ops.size(), " records")
                                      : Concat(FormatQuantity(static_cast<double>(trial.ops.size()), "ops"),
                                               " arrivals, each ended once");
  if (!not_compared.empty()) result.measured += Concat("; the service's count was not compared: ", not_compared);
  return result;
}

}  // namespace

Invariant EveryArrivalAccounted() { return {"every-arrival-accounted", {}, &Check}; }

}  // namespace lab::bench
