#include "bench/run/evidence.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

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
constexpr double kStall_s = 0.3;
constexpr double kLateShare = 0.01;   // as p99
constexpr double kWaitStep_s = 1e-5;  // what it is told to

// The share of the cores' time that went to other machines of the hypervisor.
double Stolen(const HostLoad& before, const HostLoad& after, double seconds, int cores) {
  return seconds <= 0 ? 0 : (after.steal_s - before.steal_s) / (seconds * std::max(1, cores));
}

std::string StolenText(double share) {
  return absl::StrFormat("the hypervisor took %.1f %% of the host's CPU time away", share * 100);
}

// How late at least one of a hundred was, in the phases in which that was more than a limit.
struct Late {
  std::string phases;  // "" when there is none
  double worst_s = 0;

  void Add(const Phase& phase, double late_s) {
    phases += Concat(phases.empty() ? "" : ", ", phase.name);
    worst_s = std::max(worst_s, late_s);
  }
};

// Of the operations, when they were sent.
Late LateBeyond(const Trial& trial, double limit_s) {
  std::vector<Histogram> lags(trial.phases.size());
  for (const Op& op : trial.ops) {
    if (op.outcome == Outcome::kDropped) continue;
    const double at_s = static_cast<double>(op.intended_ns) / 1e9;
    for (size_t i = 0; i < lags.size(); ++i) {
      if (at_s >= trial.phases[i].begin_s && at_s < trial.phases[i].end_s)
        lags[i].Add(std::max<int64_t>(0, op.lag_ns()));
    }
  }
  Late late;
  for (size_t i = 0; i < lags.size(); ++i) {
    if (lags[i].count() < kLagSamples) continue;
    const double p99_s = static_cast<double>(lags[i].Quantile(0.99)) / 1e9;
    if (p99_s > limit_s) late.Add(trial.phases[i], p99_s);
  }
  return late;
}

std::string Text(double duration_s) { return FormatDuration(Nanos(std::llround(duration_s * 1e9))); }

std::string LateText(const Late& late, double limit_s) {
  return Concat("it sent 1 % of its requests up to ", Text(late.worst_s), " late or more (at most ", Text(limit_s),
                ") in ", late.phases);
}

// How long at least whatever became ready in a phase had to wait in 1 % of the phase's time, all cores together; 0
// where it was less than was recorded.
double WaitOfOneInAHundred(const std::vector<Wait>& waits, const Phase& phase) {
  // Who becomes ready at t, during a wait that ends at `end`, waits for end - t.
  const auto share_beyond = [&](double limit_s) {
    double beyond_s = 0;
    for (const Wait& wait : waits) {
      const double last_s = std::min(wait.at_s + wait.length_s - limit_s, phase.end_s);
      beyond_s += std::max(0.0, last_s - std::max(wait.at_s, phase.begin_s));
    }
    return beyond_s / (phase.end_s - phase.begin_s);
  };
  double low_s = 0, high_s = 0;  // the share at high_s is 0
  for (const Wait& wait : waits) high_s = std::max(high_s, wait.length_s);
  while (high_s - low_s > kWaitStep_s) {
    const double middle_s = (low_s + high_s) / 2;
    (share_beyond(middle_s) > kLateShare ? low_s : high_s) = middle_s;
  }
  return low_s;
}

// Of whatever became ready, when it ran.
Late WaitsBeyond(const std::vector<Wait>& waits, const std::vector<Phase>& phases, double limit_s) {
  Late late;
  for (const Phase& phase : phases) {
    const double wait_s = WaitOfOneInAHundred(waits, phase);
    if (wait_s > limit_s) late.Add(phase, wait_s);
  }
  return late;
}

std::string WaitText(const Late& late, double limit_s) {
  return Concat("in 1 % of the time whatever was ready waited for ", Text(late.worst_s), " or longer (at most ",
                Text(limit_s), ") in ", late.phases);
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
  const Late late = LateBeyond(trial, kLagLimit_s);
  if (late.phases.empty()) return {};
  return {Concat("the load generator was starved: ", LateText(late, kLagLimit_s))};
}

std::vector<std::string> LagCautions(const Trial& trial) {
  const Late late = LateBeyond(trial, kLagCaution_s);
  if (late.phases.empty() || late.worst_s > kLagLimit_s) return {};
  return {Concat("the host let the load generator run late: ", LateText(late, kLagCaution_s))};
}

bool OnlyTheHostDisturbed(const Trial& trial) {
  return trial.complete && !trial.problems.empty() && trial.problems.size() == trial.host_problems.size();
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

std::vector<std::string> StallProblems(const std::vector<Wait>& waits) {
  size_t stalls = 0;
  Wait worst;
  double until_s = -std::numeric_limits<double>::infinity();
  for (const Wait& wait : waits) {
    if (wait.length_s < kStall_s) continue;
    if (wait.at_s > until_s) ++stalls;
    until_s = std::max(until_s, wait.at_s + wait.length_s);
    if (wait.length_s > worst.length_s) worst = wait;
  }
  if (stalls == 0) return {};
  return {
      absl::StrFormat("the runner itself stood still %d times, once for %.1f s at %.1f s (stopped by a signal, or "
                      "the host had no time for it)",
                      stalls, worst.length_s, worst.at_s)};
}

std::vector<std::string> WaitProblems(const std::vector<Wait>& waits, const std::vector<Phase>& phases) {
  const Late late = WaitsBeyond(waits, phases, kWaitLimit_s);
  if (late.phases.empty()) return {};
  return {Concat("the host took cores away: ", WaitText(late, kWaitLimit_s))};
}

std::vector<std::string> WaitCautions(const std::vector<Wait>& waits, const std::vector<Phase>& phases) {
  const Late late = WaitsBeyond(waits, phases, kWaitCaution_s);
  if (late.worst_s > kWaitLimit_s) return {};
  if (!late.phases.empty()) return {Concat("the host took cores away: ", WaitText(late, kWaitCaution_s))};
  const auto longest = std::max_element(waits.begin(), waits.end(),
                                        [](const Wait& a, const Wait& b) { return a.length_s < b.length_s; });
  if (longest == waits.end() || longest->length_s <= kLongWait_s) return {};
  return {absl::StrFormat("the host took a core away, once for %s at %.1f s (at most %s)", Text(longest->length_s),
                          longest->at_s, Text(kLongWait_s))};
}

Series LongestWaits(const std::vector<Wait>& waits, double duration_s) {
  Series series{.part = "host", .name = "core_wait_max_seconds"};
  for (double end_s = 1; end_s <= duration_s; ++end_s) series.samples.emplace_back(end_s, 0);
  for (const Wait& wait : waits) {
    const double second = std::floor(wait.at_s);
    if (second < 0 || second >= static_cast<double>(series.samples.size())) continue;
    double& longest_s = series.samples[static_cast<size_t>(second)].second;
    longest_s = std::max(longest_s, wait.length_s);
  }
  return series;
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
