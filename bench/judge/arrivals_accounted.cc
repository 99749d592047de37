#include <algorithm>
#include <limits>
#include <string>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

// every-arrival-accounted: every scheduled arrival ended in exactly one outcome, none twice, none that was not
// scheduled; their times are in order; and the service's own count of calls agrees with what was answered.
namespace lab::bench {
namespace {

constexpr int64_t kEarlyNs = 1'000'000;  // a send may be this much before its intended time: one turn of the loop
constexpr double kNotYetCounted = 16;    // answers that were written as the counter was read for the last time
constexpr char kCalls[] = "rpc_server_calls_total";

std::string StreamName(const Trial& trial, size_t stream) {
  return stream < trial.streams.size() ? trial.streams[stream].name : Concat("stream ", stream);
}

std::string Named(const Trial& trial, size_t stream, uint32_t key, int64_t intended_ns) {
  return Concat(StreamName(trial, stream), " key ", key, ", intended at ", Place(trial, intended_ns));
}

std::string Named(const Trial& trial, const Op& op) { return Named(trial, op.stream, op.key, op.intended_ns); }

void CheckTimes(const Trial& trial, InvariantResult& result) {
  for (const Op& op : trial.ops) {
    if (op.stream >= trial.streams.size()) {
      result.Break(Concat(Named(trial, op), ": of a stream that does not exist"));
    } else if (op.outcome == Outcome::kDropped) {
      if (op.sent_ns != 0 || op.done_ns != 0)
        result.Break(Concat(Named(trial, op), ": dropped, but with a time of sending"));
    } else if (op.done_ns < op.sent_ns) {
      result.Break(Concat(Named(trial, op), ": done before it was sent"));
    } else if (op.sent_ns < op.intended_ns - kEarlyNs) {
      result.Break(Concat(Named(trial, op), ": sent before its time"));
    }
    if (op.outcome != Outcome::kOk && op.answer != Answer::kNone) {
      result.Break(Concat(Named(trial, op), ": has an answer without having been answered"));
    }
  }
}

// The fewest records whose removal leaves the rest in order (those outside a longest non-decreasing subsequence;
// patience sorting): the ones that were moved, not the many that they were moved past.
void CheckOrder(const Trial& trial, InvariantResult& result) {
  const std::vector<Op>& ops = trial.ops;
  const auto earlier = [](const Op& a, const Op& b) { return a.intended_ns < b.intended_ns; };
  if (std::is_sorted(ops.begin(), ops.end(), earlier)) return;
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  std::vector<size_t> tails, before(ops.size(), kNone);
  for (size_t i = 0; i < ops.size(); ++i) {
    const auto place =
        std::upper_bound(tails.begin(), tails.end(), i, [&](size_t a, size_t b) { return earlier(ops[a], ops[b]); });
    if (place != tails.begin()) before[i] = *(place - 1);
    if (place == tails.end()) {
      tails.push_back(i);
    } else {
      *place = i;
    }
  }
  std::vector<bool> in_order(ops.size(), false);
  for (size_t i = tails.back(); i != kNone; i = before[i]) in_order[i] = true;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!in_order[i]) result.Break(Concat(Named(trial, ops[i]), ": out of order in the record"));
  }
}

using Identity = std::pair<int64_t, uint32_t>;  // intended time, key

// Holds what ended against what was scheduled, of one stream.
void CheckSchedule(const Trial& trial, size_t stream, InvariantResult& result) {
  std::vector<Identity> scheduled, ended;
  for (const Arrival& arrival : *trial.streams[stream].schedule)
    scheduled.emplace_back(arrival.intended_ns, arrival.key);
  for (const Op& op : trial.ops) {
    if (op.stream == stream) ended.emplace_back(op.intended_ns, op.key);
  }
  std::sort(scheduled.begin(), scheduled.end());
  std::sort(ended.begin(), ended.end());
  size_t s = 0, e = 0;
  while (s < scheduled.size() || e < ended.size()) {
    if (e == ended.size() || (s < scheduled.size() && scheduled[s] < ended[e])) {
      result.Break(Concat(Named(trial, stream, scheduled[s].second, scheduled[s].first), ": never ended"));
      ++s;
    } else if (s == scheduled.size() || ended[e] < scheduled[s]) {
      const bool again = e > 0 && ended[e] == ended[e - 1];
      result.Break(Concat(Named(trial, stream, ended[e].second, ended[e].first),
                          again ? ": ended twice" : ": ended, but was never scheduled"));
      ++e;
    } else {
      ++s, ++e;
    }
  }
}

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
      if (op.outcome != Outcome::kDropped) ++sent;
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
  CheckTimes(trial, result);
  CheckOrder(trial, result);
  for (size_t stream = 0; stream < trial.streams.size(); ++stream) {
    if (trial.streams[stream].schedule != nullptr) {
      CheckSchedule(trial, stream, result);
    } else if (!IsClosed(lab, trial.streams[stream])) {
      result.why = Concat("the schedule of ", trial.streams[stream].name, " was not kept");
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
