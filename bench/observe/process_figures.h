#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace lab::bench {

struct ProcessFigures {
  double cpu_s = 0;           // user and system, since its start
  double memory_bytes = 0;    // resident
  uint64_t major_faults = 0;  // pages that had to be read from a disk
  int threads = 0;
  std::string name;  // of the kernel: at most 15 characters
  pid_t parent = 0;
  char state = '?';  // of /proc: R, S, T (stopped), Z, …
  pid_t group = 0;
  uint64_t start_ticks = 0;  // since boot; with the pid it names one process for as long as the host runs
};

// Of a process of ours; nothing when it is gone.
std::optional<ProcessFigures> ReadProcess(pid_t pid);

struct HostFigures {
  double cpu_s = 0;    // all cores, without idle and waiting for a disk
  double steal_s = 0;  // taken by the hypervisor while we wanted to run
};

std::optional<HostFigures> ReadHost();

}  // namespace lab::bench
