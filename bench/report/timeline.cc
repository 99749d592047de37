#include "bench/report/timeline.h"

#include <algorithm>
#include <cmath>

#include "bench/model/quantile.h"

namespace lab::bench {
namespace {

constexpr double kNanosPerSecond = 1e9;
constexpr double kTailSeconds = 10;
constexpr double kMaxSeconds = 3600;  // a bound on the number of steps, whatever a trial claims

double Seconds(int64_t nanos) { return static_cast<double>(nanos) / kNanosPerSecond; }

double LastSecond(const Trial& trial) {
  double end = 0;
  for (const Phase& phase : trial.phases) end = std::max(end, phase.end_s);
  double last = end;
  for (const Op& op : trial.ops) last = std::max(last, Seconds(std::max(op.intended_ns, op.done_ns)));
  return std::min({last, end + kTailSeconds, kMaxSeconds});
}

template <typename Counts>
void CountOutcome(const Op& op, Counts& counts) {
  switch (op.outcome) {
    case Outcome::kOk:
      ++counts.ok;
      break;
    case Outcome::kFailed:
      ++counts.failed;
      break;
    case Outcome::kUnknown:
      ++counts.unknown;
      break;
    case Outcome::kDropped:
      ++counts.dropped;
      break;
  }
  if (op.answer == Answer::kAdmitted) ++counts.admitted;
  if (op.answer == Answer::kLimited) ++counts.limited;
}

void FillSteps(const Trial& trial, Timeline& timeline) {
  const double end = LastSecond(trial);
  timeline.step_s = end <= 60 + kTailSeconds ? 0.25 : 1.0;
  const size_t count = std::max<size_t>(1, static_cast<size_t>(std::ceil(end / timeline.step_s - 1e-9)));
  timeline.buckets.resize(count);
  if (trial.streams.size() > 1) {
    for (const StreamInfo& stream : trial.streams) {
      timeline.streams.push_back({stream.name, std::vector<uint64_t>(count)});
    }
  }
  const auto step_of = [&](int64_t nanos) {
    const double step = Seconds(nanos) / timeline.step_s;
    return step <= 0 ? size_t{0} : std::min(count - 1, static_cast<size_t>(step));
  };
  std::vector<std::vector<int64_t>> latencies(count);
  for (const Op& op : trial.ops) {
    const size_t intended = step_of(op.intended_ns);
    ++timeline.buckets[intended].offered;
    if (op.outcome == Outcome::kDropped) {
      ++timeline.buckets[intended].dropped;
      continue;
    }
    const size_t done = step_of(op.done_ns);
    CountOutcome(op, timeline.buckets[done]);
    if (op.answer == Answer::kAdmitted && op.stream < timeline.streams.size()) {
      ++timeline.streams[op.stream].admitted[done];
    }
    latencies[intended].push_back(op.latency_ns());
  }
  for (size_t i = 0; i < count; ++i) {
    Bucket& bucket = timeline.buckets[i];
    bucket.samples = latencies[i].size();
    if (bucket.samples == 0) continue;
    bucket.p50_s = Seconds(QuantileOf(latencies[i], 0.5));
    bucket.p99_s = Seconds(QuantileOf(latencies[i], 0.99));
    bucket.max_s = Seconds(QuantileOf(latencies[i], 1));
  }
}

PhaseStats StatsOf(const Trial& trial, const Phase& phase) {
  PhaseStats stats;
  stats.phase = phase.name;
  std::vector<int64_t> latency, service, lag;
  for (const Op& op : trial.ops) {
    const double at = Seconds(op.intended_ns);
    if (at < phase.begin_s || at >= phase.end_s) continue;
    ++stats.offered;
    CountOutcome(op, stats);
    if (op.outcome == Outcome::kDropped) continue;
    latency.push_back(op.latency_ns());
    service.push_back(op.service_ns());
    lag.push_back(op.lag_ns());
  }
  stats.samples = latency.size();
  if (latency.empty()) return stats;
  stats.p50_s = Seconds(QuantileOf(latency, 0.5));
  stats.p99_s = Seconds(QuantileOf(latency, 0.99));
  stats.max_s = Seconds(QuantileOf(latency, 1));
  stats.service_p99_s = Seconds(QuantileOf(service, 0.99));
  stats.lag_p99_s = Seconds(QuantileOf(lag, 0.99));
  for (const double quantile : kSpectrum) {
    if (static_cast<double>(latency.size()) * (1 - quantile) < 10 - 1e-6) break;
    stats.spectrum_s.push_back(Seconds(QuantileOf(latency, quantile)));
  }
  return stats;
}

}  // namespace

Timeline MakeTimeline(const Trial& trial) {
  Timeline timeline;
  if (trial.ops.empty()) return timeline;
  FillSteps(trial, timeline);
  for (const Phase& phase : trial.phases) timeline.phases.push_back(StatsOf(trial, phase));
  return timeline;
}

}  // namespace lab::bench
