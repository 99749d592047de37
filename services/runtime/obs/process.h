#pragma once

namespace lab::obs {

// What this process uses, by the names of the Prometheus client libraries. A value that /proc does not give is 0.
struct ProcessUsage {
  double cpu_seconds = 0;  // from the process clock: nanoseconds, where /proc/self/stat has ticks of 10 ms
  double resident_bytes = 0;
  double threads = 0;
  double open_fds = 0;
  double max_fds = 0;
  double start_unix_seconds = 0;
};

ProcessUsage ReadProcessUsage();

}  // namespace lab::obs
