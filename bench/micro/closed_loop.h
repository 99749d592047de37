#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/micro/setup.h"

namespace lab::bench {

// What one closed-loop measurement of a server saw, after a warm-up of a fifth of its time.
struct ClosedLoopResult {
  double calls_per_s = 0;
  double p50_s = 0;
  double p99_s = 0;
  double client_cpu_us = 0;    // a call
  double server_cpu_us = 0;    // a call
  uint64_t failed = 0;
  uint64_t limited = 0;
};

struct ClosedLoop {
  std::string address;         // of the server
  pid_t server = 0;            // whose CPU is counted
  std::string key = "fixed_window";  // descriptor key
  uint32_t keys = 10'000;
  int outstanding = 64;
  double seconds = 2;
};

absl::StatusOr<ClosedLoopResult> MeasureClosedLoop(const ClosedLoop& what);

}  // namespace lab::bench
