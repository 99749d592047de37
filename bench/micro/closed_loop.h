#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lab::bench {

// What a closed-loop measurement of a server saw.
struct ClosedLoopResult {
  double calls_per_s = 0;
  double p50_us = 0, p99_us = 0;
  uint64_t calls = 0;  // all of it, with the warm-up: what counters that were read around it are divided by
  // CPU a call, of all threads of each.
  double client_us = 0, server_us = 0, redis_us = 0;
  double redis_calls = 0;  // script calls of Redis a call, where its user counts them
};

// One figure of the results of some rounds: Column(results, &ClosedLoopResult::p99_us).
std::vector<double> Column(const std::vector<ClosedLoopResult>& results, double ClosedLoopResult::*figure);

struct ClosedLoop {
  std::string address;  // of the server
  std::string target = "ratelimit.grpc";
  std::map<std::string, std::string> request;  // fields; empty: of the limiter, with `key`
  pid_t server = 0;                            // whose CPU is counted
  pid_t redis = 0;                             // its Redis; 0: none
  std::string key = "fixed_window";            // descriptor key
  uint32_t keys = 10'000;
  int outstanding = 64;
  double seconds = 1;
};

// By our own generator, after a warm-up of a fifth of the time. An error when a call failed, had no answer or was
// limited: then something else than the hot path was measured.
absl::StatusOr<ClosedLoopResult> MeasureClosedLoop(const ClosedLoop& what);

// CPU that a process has used since this object was made; the kernel counts it in steps of 10 ms.
class CpuMeter {
 public:
  explicit CpuMeter(pid_t pid);  // 0: nobody
  // Microseconds, of all its threads.
  double PerCall(uint64_t calls) const;

 private:
  const pid_t pid_;
  const double before_s_;
};

}  // namespace lab::bench
