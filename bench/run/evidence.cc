#include "bench/run/evidence.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "absl/strings/str_format.h"
#include "bench/host/cgroup.h"
#include "bench/model/histogram.h"
#include "bench/observe/process_figures.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

constexpr uint64_t kLagSamples = 100;
constexpr double kDroppedLimit = 0.001;
constexpr double kThrottledLimit = 0.01;
constexpr double kSwapLimit = 1 << 20;   // bytes a second
constexpr double kMajorFaultLimit = 20;  // a second
constexpr double kNeighbourLeast_s = 2;  // of observation: ticks and restarts make less too coarse
constexpr double kAfterFault_s = 1.0;
constexpr size_t kGapsAllowed = 1;

// The share of the cores' time that went to other machines of the hypervisor.
double Stolen(const HostLoad& before, const HostLoad& after, double seconds, int cores) {
  return seconds <= 0 ? 0 : (after.steal_s - before.steal_s) / (seconds * std::max(1, cores));
}

std::string StolenText(double share) {
  return absl::StrFormat("the hypervisor took %.1f %% of the host's CPU time away", share * 100);
}

// How late at least one of a hundred operations was sent in the phases in which that was more than a limit.
struct LateSending {
  std::string phases;  // "" when there is none
  double worst_s = 0;
};

LateSending LateBeyond(const Trial& trial, double limit_s) {
  std::vector<Histogram> lags(trial.phases.size());
  for (const Op& op : trial.ops) {
    if (op.outcome == Outcome::kDropped) continue;
    const double at_s = static_cast<double>(op.intended_ns) / 1e9;
    for (size_t i = 0; i < lags.size(); ++i) {
      if (at_s >= trial.phases[i].begin_s && at_s < trial.phases[i].end_s)
        lags[i].Add(std::max<int64_t>(0, op.lag_ns()));
    }
  }
  LateSending late;
  for (size_t i = 0; i < lags.size(); ++i) {
    if (lags[i].count() < kLagSamples) continue;
    const double p99_s = static_cast<double>(lags[i].Quantile(0.99)) / 1e9;
    if (p99_s <= limit_s) continue;
    late.phases += Concat(late.phases.empty() ? "" : ", ", trial.phases[i].name);
    late.worst_s = std::max(late.worst_s, p99_s);
  }
  return late;
}

std::string LateText(const LateSending& late, double limit_s) {
  return Concat("it sent 1 % of its requests up to ", FormatDuration(Nanos(std::llround(late.worst_s * 1e9))),
                " late or more (at most ", FormatDuration(Nanos(std::llround(limit_s * 1e9))), ") in ", late.phases);
}

// Whether a fault was on in some of [begin, end], or in the second before it.
bool FaultIn(const std::vector<FaultRecord>& faults, double begin_s, double end_s) {
  return std::any_of(faults.begin(), faults.end(), [&](const FaultRecord& fault) {
    const bool begun = fault.applied_s && *fault.applied_s <= end_s;
    return begun && (!fault.healed_s || *fault.healed_s + kAfterFault_s >= begin_s);
  });
}

}  // namespace

std::vector<std::string> StarvedProblems(const Trial& trial) {
  const LateSending late = LateBeyond(trial, kLagLimit_s);
  if (late.phases.empty()) return {};
  return {Concat("the load generator was starved: ", LateText(late, kLagLimit_s))};
}

std::vector<std::string> LagCautions(const Trial& trial) {
  const LateSending late = LateBeyond(trial, kLagCaution_s);
  if (late.phases.empty() || late.worst_s > kLagLimit_s) return {};
  return {Concat("the host let the load generator run late: ", LateText(late, kLagCaution_s))};
}

bool OnlyTheHostDisturbed(const Trial& trial) {
  return trial.complete && !trial.problems.empty() && trial.problems.size() == trial.host_problems.size();
}

void ShareCaution(std::vector<Trial>& trials) {
  const auto disturbed = std::find_if(trials.begin(), trials.end(), [](const Trial& trial) {
    return !trial.host_problems.empty() || !trial.disturbed.empty();
  });
  if (disturbed == trials.end()) return;
  const std::string caution = Concat("the host disturbed a trial of this run, of ", disturbed->variant);
  for (Trial& trial : trials) {
    if (trial.problems.empty() && trial.cautions.empty()) trial.cautions.push_back(caution);
  }
}

std::vector<std::string> SaturatedProblems(const Trial& trial) {
  const auto dropped =
      std::count_if(trial.ops.begin(), trial.ops.end(), [](const Op& op) { return op.outcome == Outcome::kDropped; });
  const double share = trial.ops.empty() ? 0 : static_cast<double>(dropped) / static_cast<double>(trial.ops.size());
  if (share <= kDroppedLimit) return {};
  return {absl::StrFormat("the load generator was saturated: it could not send %d of %d requests (%.2g %%)", dropped,
                          trial.ops.size(), share * 100)};
}

HostLoad ReadHostLoad(uint64_t own_oom_kills) {
  HostLoad load;
  if (const auto host = ReadHost()) load.steal_s = host->steal_s;
  load.throttled_s = OurThrottledSeconds().value_or(0);
  load.own_oom_kills = own_oom_kills;
  const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
  std::ifstream file("/proc/vmstat");
  uint64_t value = 0;
  for (std::string name; file >> name >> value;) {
    if (name == "oom_kill") load.oom_kills = value;
    if (name == "pswpin" || name == "pswpout") load.swapped_bytes += static_cast<double>(value) * page;
  }
  return load;
}

std::vector<std::string> HostCautions(const HostLoad& before, const HostLoad& after, double seconds, int cores) {
  const double stolen = Stolen(before, after, seconds, cores);
  if (stolen <= kStealCaution || stolen > kStealLimit) return {};
  return {StolenText(stolen)};
}

std::vector<std::string> HostProblems(const HostLoad& before, const HostLoad& after, double seconds, int cores) {
  std::vector<std::string> problems;
  if (seconds <= 0) return problems;
  const double stolen = Stolen(before, after, seconds, cores);
  if (stolen > kStealLimit) problems.push_back(StolenText(stolen));
  const double throttled = (after.throttled_s - before.throttled_s) / seconds;
  if (throttled > kThrottledLimit) {
    problems.push_back(
        absl::StrFormat("a CPU quota kept this run from running for %.1f %% of its time", throttled * 100));
  }
  const double swapped = (after.swapped_bytes - before.swapped_bytes) / seconds;
  if (swapped > kSwapLimit) {
    problems.push_back(absl::StrFormat("the host swapped: %.1f MiB a second", swapped / (1 << 20)));
  }
  if (after.oom_kills - before.oom_kills > after.own_oom_kills - before.own_oom_kills) {
    problems.push_back("the kernel killed a process of this host for want of memory, and no fault asked for it");
  }
  return problems;
}

std::vector<std::string> PagingProblems(const std::vector<Series>& series) {
  std::vector<std::string> problems;
  for (const Series& one : series) {
    if (one.name != "process_major_faults_total" || one.samples.size() < 2) continue;
    double faults = 0;
    for (size_t i = 1; i < one.samples.size(); ++i) {
      faults += std::max(0.0, one.samples[i].second - one.samples[i - 1].second);
    }
    const double rate = faults / (one.samples.back().first - one.samples.front().first);
    if (rate <= kMajorFaultLimit) continue;
    problems.push_back(absl::StrFormat("%s waited for memory to come back from a disk: %.0f major page faults a second",
                                       one.part, rate));
  }
  return problems;
}

std::vector<std::string> StallProblems(const std::vector<Stall>& stalls) {
  if (stalls.empty()) return {};
  const Stall& worst = *std::max_element(stalls.begin(), stalls.end(),
                                         [](const Stall& a, const Stall& b) { return a.length_s < b.length_s; });
  return {
      absl::StrFormat("the runner itself stood still %d times, once for %.1f s at %.1f s (stopped by a signal, or "
                      "the host had no time for it)",
                      stalls.size(), worst.length_s, worst.at_s)};
}

std::vector<std::string> NeighbourProblems(const std::vector<Series>& series, int cores, const std::string& busiest) {
  double host_s = 0, ours_s = 0, seconds = 0;
  for (const Series& one : series) {
    if (one.samples.size() < 2) continue;
    if (one.name == "host_cpu_seconds_total") {
      host_s = one.samples.back().second - one.samples.front().second;
      seconds = one.samples.back().first - one.samples.front().first;
    }
    if (one.name != "process_cpu_seconds_total") continue;
    for (size_t i = 1; i < one.samples.size(); ++i) {
      const double step = one.samples[i].second - one.samples[i - 1].second;
      ours_s += step >= 0 ? step : one.samples[i].second;  // a process that began anew counts from 0
    }
  }
  if (seconds < kNeighbourLeast_s) return {};
  const double others = (host_s - ours_s) / seconds;
  if (others <= kNeighbourLimit * std::max(1, cores)) return {};
  return {absl::StrFormat(
      "a busy neighbour: processes that are not of this run took %.1f of the host's %d cores%s; end them or wait, and "
      "run it again",
      others, cores, busiest.empty() ? "" : Concat(" (", busiest, ")"))};
}

std::vector<std::string> ScrapeProblems(const std::map<std::string, std::vector<double>>& gaps,
                                        const std::vector<FaultRecord>& faults, double begin_s, double end_s) {
  std::vector<std::string> problems;
  for (const auto& [part, times] : gaps) {
    const auto unexplained = static_cast<size_t>(std::count_if(times.begin(), times.end(), [&](double at_s) {
      return at_s >= begin_s && at_s <= end_s && !FaultIn(faults, at_s, at_s);
    }));
    if (unexplained <= kGapsAllowed) continue;
    problems.push_back(Concat(part, " did not tell its metrics in ", unexplained, " seconds without a fault"));
  }
  return problems;
}

}  // namespace lab::bench
