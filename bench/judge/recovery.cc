#include "bench/judge/recovery.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "bench/model/quantile.h"
#include "services/runtime/base/text.h"

// How long after the heal the system is right again, and how long it took to see that a fault had struck.
namespace lab::bench {
namespace {

constexpr int64_t kBinNs = 100'000'000;
constexpr int kCalmBins = 5;   // nothing failed and no latency stood out for 500 ms
constexpr int kRateBins = 10;  // the admitted rate counts over a second: fixed windows admit in waves
constexpr double kLatencyFloorS = 0.025;
constexpr double kLatencyFactor = 5;  // times the p99 of the reference phase
constexpr double kRateLow = 0.5, kRateHigh = 1.5;
constexpr double kSlackSigmas = 3;  // of a Poisson count

double P99(std::vector<int64_t>& times) {
  return times.empty() ? 0 : static_cast<double>(QuantileOf(times, 0.99)) * 1e-9;
}

struct Bin {
  std::vector<int64_t> times;
  bool failed = false;
  double count = 0;
};

std::vector<Bin> BinsOf(const Trial& trial, const Selection& streams, int64_t begin, int64_t end,
                        const Normal& normal) {
  std::vector<Bin> bins(static_cast<size_t>(std::max<int64_t>(0, end - begin) / kBinNs));
  for (const Op& op : trial.ops) {
    if (!streams.InStream(op) || op.intended_ns < begin) continue;
    const size_t index = static_cast<size_t>((op.intended_ns - begin) / kBinNs);
    if (index >= bins.size()) continue;
    Bin& bin = bins[index];
    if (op.outcome != Outcome::kOk) bin.failed = true;
    if (op.outcome != Outcome::kDropped) bin.times.push_back(op.latency_ns());
    if (Counts(op, normal.of_admitted)) ++bin.count;
  }
  return bins;
}

// Whether everything from this bin on is as it was before the fault.
bool RightFrom(const std::vector<Bin>& bins, const std::vector<bool>& calm, size_t from, const Normal& normal) {
  if (from + kRateBins > bins.size()) return false;
  for (size_t i = from; i < from + kCalmBins; ++i) {
    if (!calm[i]) return false;
  }
  double count = 0;
  for (size_t i = from; i < from + kRateBins; ++i) count += bins[i].count;
  const double expected = normal.per_bin * kRateBins;
  const double slack = kSlackSigmas * std::sqrt(expected);
  return count >= kRateLow * expected - slack && count <= kRateHigh * expected + slack;
}

// Of the faults that were asked for before this phase the one that ended last: recovery begins when nothing is broken
// any more. Its heal may come a little later than the phase begins: a fault that lasts its whole phase is healed as the
// next one begins. One without an end counts as the last.
const FaultRecord* FaultBefore(const Trial& trial, const Phase& phase) {
  const auto end_s = [](const FaultRecord& fault) {
    return fault.heal_asked_s.value_or(std::numeric_limits<double>::infinity());
  };
  const FaultRecord* last = nullptr;
  for (const FaultRecord& fault : trial.faults) {
    if (fault.asked_s >= phase.begin_s) continue;
    if (last == nullptr || end_s(fault) > end_s(*last)) last = &fault;
  }
  return last;
}

Evidence Recovery(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Phase* phase = FindPhase(trial, selectors.Text("phase"));
  const Phase* like = FindPhase(trial, selectors.Text("like", "steady"));
  if (phase == nullptr || like == nullptr) return Evidence::None("a phase did not take place");
  const Selection streams = Select(trial, lab, selectors);
  if (!streams.why.empty()) return Evidence::None(streams.why);
  const FaultRecord* fault = FaultBefore(trial, *phase);
  if (fault == nullptr) return Evidence::None(Concat("no fault began before ", phase->name));
  if (!fault->heal_asked_s) return Evidence::None(Concat(fault->id, " has no end"));
  const std::optional<Normal> normal = NormalOf(trial, streams, *like);
  if (!normal) return Evidence::None(Concat("nothing was answered in ", like->name));
  return RightAgain(trial, streams, *normal, ToNanos(*fault->heal_asked_s), ToNanos(phase->end_s), phase->name);
}

Evidence Detect(const Trial& trial, const Lab&, const Selectors& selectors) {
  Evidence longest = Evidence::None(Concat("no fault began in ", selectors.Text("phase")));
  for (const std::string& phase : selectors.Names("phase")) {
    for (const FaultRecord& fault : trial.faults) {
      if (fault.phase != phase) continue;
      if (!fault.seen_s) return Evidence::None(Concat(fault.id, " was never seen"));
      const double took = *fault.seen_s - fault.asked_s;
      longest = Evidence::Of(std::max(took, longest.value.value_or(took)), longest.samples + 1);
    }
  }
  return longest;
}

}  // namespace

bool Counts(const Op& op, bool of_admitted) {
  return op.outcome == Outcome::kOk && (!of_admitted || op.answer == Answer::kAdmitted);
}

std::optional<Normal> NormalOf(const Trial& trial, const Selection& streams, const Phase& phase) {
  const int64_t begin = ToNanos(phase.begin_s), end = ToNanos(phase.end_s);
  Normal normal;
  std::vector<int64_t> times;
  double offered = 0, admitted = 0, ok = 0;
  for (const Op& op : trial.ops) {
    if (!streams.InStream(op) || op.intended_ns < begin || op.intended_ns >= end) continue;
    ++offered;
    if (op.outcome != Outcome::kDropped) times.push_back(op.latency_ns());
    if (Counts(op, true)) ++admitted;
    if (Counts(op, false)) ++ok;
  }
  if (ok == 0) return std::nullopt;
  normal.p99_s = P99(times);
  normal.of_admitted = admitted > 0;
  const double counted = normal.of_admitted ? admitted : ok;
  normal.per_bin = counted * kBinNs / static_cast<double>(end - begin);
  normal.share = counted / offered;
  return normal;
}

Evidence RightAgain(const Trial& trial, const Selection& streams, const Normal& normal, int64_t heal_ns, int64_t end_ns,
                    const std::string& until) {
  std::vector<Bin> bins = BinsOf(trial, streams, heal_ns, end_ns, normal);
  if (bins.size() < kRateBins) {
    return Evidence::None(absl::StrFormat("%s ends less than %.1f s after the heal", until, kRateBins * 0.1));
  }
  uint64_t samples = 0;
  std::vector<bool> calm;
  const double limit_s = std::max(kLatencyFloorS, kLatencyFactor * normal.p99_s);
  for (Bin& bin : bins) {
    samples += bin.times.size();
    calm.push_back(!bin.failed && P99(bin.times) <= limit_s);
  }
  if (samples == 0) return Evidence::None("nothing was sent after the heal");
  for (size_t from = 0; from + kRateBins <= bins.size(); ++from) {
    if (RightFrom(bins, calm, from, normal)) return Evidence::Of(static_cast<double>(from) * 0.1, samples);
  }
  // Not right at any moment that could still be judged; it may have become right after the last of them.
  Evidence late = Evidence::Of(static_cast<double>(bins.size() - kRateBins) * 0.1, samples);
  late.at_least = true;
  return late;
}

void AddRecovery(std::vector<Function>& functions) {
  functions.push_back(
      Fixed("recovery", Unit::Seconds(),
            {{"phase", SelectorKind::kPhase, true}, {"like", SelectorKind::kPhase}, {"stream", SelectorKind::kStream}},
            &Recovery));
  functions.push_back(Fixed("detect", Unit::Seconds(), {{"phase", SelectorKind::kFaultPhases, true}}, &Detect));
}

}  // namespace lab::bench
