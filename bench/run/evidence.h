#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/trial.h"

namespace lab::bench {

// Reasons why what a trial measured is not to be trusted, in words, for Trial::problems. Pure functions of what was
// seen.

// The generator: p99 of its lag above 5 ms in any phase, or more than 0.1 % dropped in the trial. Phases with a fault
// are no exception: an operation counts as sent when its connection gets it, and as failed when there is none, so that
// a part that is paused, gone or coming back delays no sending, while lag would be counted as the latency of its
// design.
std::vector<std::string> GeneratorProblems(const Trial& trial);

struct HostLoad {
  double steal_s = 0, throttled_s = 0;
  uint64_t oom_kills = 0;
};
HostLoad ReadHostLoad();
// What the host kept from the trial between two readings: more than 2 % of its cores' time stolen, more than 1 % of its
// time throttled, anything killed for want of memory.
std::vector<std::string> HostProblems(const HostLoad& before, const HostLoad& after, double seconds, int cores);

// A busy neighbour: processes that are none of ours (the parts', and part "runner", which is us) took more than a fifth
// of the CPU time of `cores` while the trial was observed. Whoever shares the cores with a stranger measures the
// stranger.
std::vector<std::string> NeighbourProblems(const std::vector<Series>& series, int cores);

// Parts that did not answer a scrape twice or more while no fault was on or had been in the last second.
std::vector<std::string> ScrapeProblems(const std::map<std::string, std::vector<double>>& gaps,
                                        const std::vector<FaultRecord>& faults, double begin_s, double end_s);

}  // namespace lab::bench
