#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Linux control groups: version 1 (a hierarchy for each controller), version 2 (one for all), or both on one host,
// where each controller belongs to one of them. https://docs.kernel.org/admin-guide/cgroup-v2.html
namespace lab::bench {

struct Cgroup {
  std::string controller;  // "cpu" or "memory"
  int version = 0;         // 1 or 2
  std::string folder;      // "/sys/fs/cgroup/cpu/lab-17-4711-redis"
};

// Where a host keeps its groups. The defaults are this host's; tests put a tree of their own there.
struct CgroupView {
  std::string mounts = "/proc/mounts";
  std::string proc = "/proc";  // of <pid>/cgroup
};

// The group that rules a process by this controller. NOT_FOUND: no hierarchy here has the controller, or no process.
absl::StatusOr<Cgroup> CgroupOf(pid_t pid, const std::string& controller, const CgroupView& view = {});

// Where a group of this name may be made for children of ours; nothing is made yet. Version 1: below our own. Version
// 2: below the nearest group above ours that hands the controller down already, because a group that holds processes
// must not, and because handing it down anew would change what is not ours. FAILED_PRECONDITION with the reason and the
// remedy where there is no such place.
absl::StatusOr<Cgroup> PlaceForCgroup(const std::string& controller, const std::string& name,
                                      const CgroupView& view = {});

absl::Status MakeCgroup(const Cgroup& group);  // nothing when it is there
// A process and all that descend from it, which then charge the group for what they use from now on; memory that they
// hold already stays with the group they had.
absl::Status MoveToCgroup(const Cgroup& group, pid_t pid);
absl::Status LimitCpu(const Cgroup& group, double cores);  // in periods of 100 ms, of at least 1 ms each
absl::Status LimitMemory(const Cgroup& group, uint64_t bytes);
// Moves what is in it to `back` and removes it. Nothing when it is not there.
absl::Status RemoveCgroup(const Cgroup& group, const Cgroup& back);
// Removes an empty group by its path; false when it is there afterwards.
bool RemoveEmptyCgroup(const std::string& folder);

// In how many periods its quota kept it from running, and for how long in all.
uint64_t ThrottledPeriods(const Cgroup& group);
double ThrottledSeconds(const Cgroup& group);
// How many of its processes the kernel has killed because the group was out of memory.
uint64_t OomKills(const Cgroup& group);

// What is in force on us, by our group or one above it; absent: no limit.
struct HostLimits {
  std::optional<double> cpu_cores;
  std::optional<double> memory_bytes;
};
HostLimits LimitsOfOurs(const CgroupView& view = {});
// How long quotas of our group and those above it have kept it from running since they were made; nothing where none
// tells.
std::optional<double> OurThrottledSeconds(const CgroupView& view = {});

// "" or why no group of ours can be made for this controller here, with the remedy: found out by making one.
std::string WhyNoCgroup(const std::string& controller);
// "cpu and memory in version 1", for people.
std::string DescribeCgroups(const CgroupView& view = {});

}  // namespace lab::bench
