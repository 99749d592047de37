#include "bench/judge/queueing.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/numbers.h"
#include "bench/judge/functions.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kEdge_s = 0.02;          // by which a second may begin before its phase and still be within it
constexpr double kStationaryShare = 0.2;  // of the time that is looked at: longer operations reach over its edges

// Bounds that a lab may configure, and the gauge that shows how much of them is used.
constexpr std::pair<const char*, const char*> kBounds[] = {{"grpc.max_in_flight", "rpc_server_in_flight"},
                                                           {"redis.max_outstanding", "redis_outstanding"}};

struct Second {
  double begin_s, end_s, in_flight;
};

// The full seconds of the generator that lie within the phase.
std::vector<Second> SecondsOf(const Trial& trial, const Phase& phase) {
  std::vector<Second> seconds;
  for (const Series& series : trial.series) {
    if (series.part != "generator" || series.name != "in_flight_mean") continue;
    double before_s = 0;
    for (const auto& [at_s, value] : series.samples) {
      if (before_s >= phase.begin_s - kEdge_s && at_s <= phase.end_s + kEdge_s)
        seconds.push_back({before_s, at_s, value});
      before_s = at_s;
    }
  }
  return seconds;
}

void CompareWithLittle(const Trial& trial, const Phase& phase, PhaseQueueing& queueing) {
  const std::vector<Second> seconds = SecondsOf(trial, phase);
  double begin_s = phase.begin_s, end_s = phase.end_s;
  if (!seconds.empty()) {
    begin_s = seconds.front().begin_s;
    end_s = seconds.back().end_s;
  }
  uint64_t sent = 0;
  double sum_s = 0, longest_s = 0;
  for (const Op& op : trial.ops) {
    const double at_s = static_cast<double>(op.sent_ns) / 1e9, done_s = static_cast<double>(op.done_ns) / 1e9;
    if (op.outcome == Outcome::kDropped || at_s >= end_s || done_s < begin_s) continue;
    const double service_s = static_cast<double>(op.service_ns()) / 1e9;
    longest_s = std::max(longest_s, service_s);  // those too that were sent before: they are in flight now
    if (at_s < begin_s) continue;
    ++sent;
    sum_s += service_s;
  }
  if (sent == 0 || end_s <= begin_s) return;
  queueing.sent_per_s = static_cast<double>(sent) / (end_s - begin_s);
  queueing.mean_s = sum_s / static_cast<double>(sent);
  if (seconds.empty()) {
    queueing.why = "no full second lies within the phase";
    return;
  }
  double area = 0;
  for (const Second& second : seconds) area += second.in_flight * (second.end_s - second.begin_s);
  queueing.in_flight = area / (end_s - begin_s);
  if (longest_s > kStationaryShare * (end_s - begin_s)) {
    queueing.why = "the load was not stationary: operations took a good part of the time";
    return;
  }
  const double apart = std::abs(*queueing.in_flight - queueing.expected());
  queueing.mismatch =
      apart > kLittleLeast && apart > kLittleTolerance * std::max(queueing.expected(), *queueing.in_flight);
}

std::optional<double> Value(const char* function, const Trial& trial, const Lab& lab,
                            const std::vector<Selector>& selectors) {
  return FindFunction(function)->evaluate(trial, lab, Selectors(selectors)).value;
}

void AddUse(const Trial& trial, const Lab& lab, const PartSpec& part, PhaseQueueing& queueing) {
  const std::vector<Selector> where = {{"part", part.name, 0}, {"phase", queueing.phase, 0}};
  if (const std::optional<double> cores = Value("cpu", trial, lab, where)) queueing.cores[part.name] = *cores;
  for (const auto& [knob, gauge] : kBounds) {
    const auto replicas = static_cast<double>(std::count_if(trial.parts.begin(), trial.parts.end(),
                                                            [&](const auto& info) { return info.part == part.name; }));
    for (const PartInfo& info : trial.parts) {
      const auto bound = info.changed.find(knob);
      double most = 0;
      if (info.part != part.name || bound == info.changed.end() || !absl::SimpleAtod(bound->second, &most) || most <= 0)
        continue;
      std::vector<Selector> selectors = where;
      selectors.push_back({"name", gauge, 0});
      selectors.push_back({"as", "max", 0});
      const std::optional<double> used = Value("metric", trial, lab, selectors);
      if (used) queueing.bottlenecks[Concat(part.name, ".", knob)] = *used / (most * replicas);
    }
  }
}

}  // namespace

std::vector<PhaseQueueing> QueueingOf(const Trial& trial, const Lab& lab) {
  std::vector<PhaseQueueing> all;
  for (const Phase& phase : trial.phases) {
    PhaseQueueing queueing;
    queueing.phase = phase.name;
    CompareWithLittle(trial, phase, queueing);
    if (queueing.sent_per_s <= 0) continue;
    for (const PartSpec& part : lab.system) AddUse(trial, lab, part, queueing);
    all.push_back(std::move(queueing));
  }
  return all;
}

}  // namespace lab::bench
