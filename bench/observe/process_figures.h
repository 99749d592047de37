#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace lab::bench {

struct ProcessFigures {
  double cpu_s = 0;           // user and system, since its start
  double ended_cpu_s = 0;     // the same of children that have ended, as far as it has waited for them
  double memory_bytes = 0;    // resident
  double shared_bytes = 0;    // of these: files and shared memory
  uint64_t major_faults = 0;  // pages that had to be read from a disk
  uint64_t ended_major_faults = 0;
  int threads = 0;
  std::string name;  // of the kernel: at most 15 characters
  pid_t parent = 0;
  char state = '?';  // of /proc: R, S, T (stopped), Z, …
  pid_t group = 0;
  uint64_t start_ticks = 0;  // since boot; with the pid it names one process for as long as the host runs
};

// Of a process of ours; nothing when it is gone.
std::optional<ProcessFigures> ReadProcess(pid_t pid);

// The sums over a process and all that descend from it, as the postmaster of a PostgreSQL, and children of theirs that
// have ended. Memory that they share counts once: that of the one who has most of it.
std::optional<ProcessFigures> ReadFamily(pid_t pid);

struct HostFigures {
  double cpu_s = 0;    // all cores, without idle and waiting for a disk
  double steal_s = 0;  // taken by the hypervisor while we wanted to run
};

std::optional<HostFigures> ReadHost();

}  // namespace lab::bench
