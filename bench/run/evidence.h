#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/trial.h"

namespace lab::bench {

// Shares of the time of the host's cores: beyond them a run says more about the host than about the design.
inline constexpr double kStealCaution = 0.02, kStealLimit = 0.1, kNeighbourLimit = 0.2;
// With a fault or without: what is sent late is never the fault's doing.
inline constexpr double kLagCaution_s = 0.002, kLagLimit_s = 0.005, kWaitCaution_s = 0.001, kWaitLimit_s = 0.005,
                        kLongWait_s = 0.01;

// Reasons why what a trial measured is not to be trusted, in words, for Trial::problems. Pure functions of what was
// seen.

// A starved generator: p99 of its lag above 5 ms in any phase. Phases with a fault are no exception: an operation
// counts as sent when its connection gets it, and as failed when there is none, so that a part that is paused, gone or
// coming back delays no sending, while lag would be counted as the latency of its design.
std::vector<std::string> StarvedProblems(const Trial& trial);
// For Trial::cautions: p99 of its lag above 2 ms in a phase, and above 5 ms in none. A generator that has real-time
// priority and still runs late shares a host on which the parts run late too.
std::vector<std::string> LagCautions(const Trial& trial);
// A saturated generator: more than 0.1 % dropped in the trial.
std::vector<std::string> SaturatedProblems(const Trial& trial);

struct HostLoad {
  double steal_s = 0;
  double throttled_s = 0;      // our group and those above it
  double swapped_bytes = 0;    // in and out, since boot
  uint64_t oom_kills = 0;      // of any process, since boot; whatever group was out of memory
  uint64_t own_oom_kills = 0;  // of these, what faults of this run asked for
};
HostLoad ReadHostLoad(uint64_t own_oom_kills);
// What the host kept from the trial between two readings: more than 10 % of its cores' time stolen, more than 1 % of
// its time throttled, more than 1 MiB a second swapped, anything killed for want of memory that no fault asked for.
std::vector<std::string> HostProblems(const HostLoad& before, const HostLoad& after, double seconds, int cores);
// For Trial::cautions: more than 2 % of the cores' time stolen, as on many a virtual machine, but no more than 10 %.
// What holds beside that holds all the more without it; what does not may be the hypervisor's doing
// (bench/judge/README.md).
std::vector<std::string> HostCautions(const HostLoad& before, const HostLoad& after, double seconds, int cores);

// Whether it has problems and all of them are the host's doing: then another trial of the same may have none.
bool OnlyTheHostDisturbed(const Trial& trial);

// Parts, or we, that waited for memory to come back from a disk: more than 20 major page faults a second while the
// trial was observed. A part that begins anew reads its program; that second does not count.
std::vector<std::string> PagingProblems(const std::vector<Series>& series);

// A time in which a thread that had nothing to do was ready and did not run on a core (core_watch.h). Seconds since the
// start of the load.
struct Wait {
  double at_s = 0, length_s = 0;
};
// Waits of 300 ms or more: the runner itself stood still, nothing was sent, broken or observed then, however short that
// is of all. Those of several cores at once are one.
std::vector<std::string> StallProblems(const std::vector<Wait>& waits);
// A host that takes cores away: in 1 % of the time of a phase whatever became ready on one of the cores waited more
// than 5 ms for it. So late the answers of parts are then, though the generator itself was on time. Waits of several
// cores are added, because an answer passes through parts on all of them.
std::vector<std::string> WaitProblems(const std::vector<Wait>& waits, const std::vector<Phase>& phases);
// For Trial::cautions: the same above 1 ms in a phase, and above 5 ms in none; or one wait of more than 10 ms, which a
// maximum may be owed to.
std::vector<std::string> WaitCautions(const std::vector<Wait>& waits, const std::vector<Phase>& phases);
// The longest wait of each second of a load that took so long, "core_wait_max_seconds" of part "host".
Series LongestWaits(const std::vector<Wait>& waits, double duration_s);

// A busy neighbour: processes that are none of ours (the parts', and part "runner", which is us) took more than a fifth
// of the CPU time of `cores` while the trial was observed. Whoever shares the cores with a stranger measures the
// stranger. `busiest`: who they were, as NeighbourWatch tells.
std::vector<std::string> NeighbourProblems(const std::vector<Series>& series, int cores, const std::string& busiest);

// Parts that did not answer a scrape twice or more while no fault was on or had been in the last second.
std::vector<std::string> ScrapeProblems(const std::map<std::string, std::vector<double>>& gaps,
                                        const std::vector<FaultRecord>& faults, double begin_s, double end_s);

}  // namespace lab::bench
