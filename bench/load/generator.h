#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/labfile/lab.h"
#include "bench/model/histogram.h"
#include "bench/model/op.h"
#include "bench/model/trial.h"

namespace lab::bench {

// Counters of the last full second, for the live view and the series; safe to read from another thread.
struct LiveLoad {
  double offered_per_s = 0, achieved_per_s = 0, errors_per_s = 0, dropped_per_s = 0, admitted_per_s = 0;
  double p50_s = 0, p99_s = 0, max_s = 0, lag_p99_s = 0;
  uint64_t in_flight = 0;
};

// Drives the loads of one trial in a thread of its own: schedules first, sends at the intended time, never slows down
// for the system under test. Bounded in flight, in count and in time.
class Generator {
 public:
  struct Options {
    std::vector<LoadSpec> loads;
    std::vector<Phase> phases;                     // the whole timeline, from 0
    std::map<std::string, std::vector<std::string>> endpoints;  // target → "127.0.0.1:port" of each replica
    uint64_t seed = 1;
    int64_t start_unix_ns = 0;                     // wall clock of t = 0, for patterns aligned to the epoch
    double starve = 0;                             // share of time in which the generator is kept from running (0 … 1)
    size_t max_ops = 5'000'000;
    int cpu = -1;                                  // pin to this CPU; -1: not
    std::function<void(const LiveLoad&)> on_second;  // on the generator's thread
  };
  explicit Generator(Options options);
  ~Generator();

  // Connects and warms connections; then Run drives until the timeline ends or Stop, and waits for what is in flight
  // (at most the time-out).
  absl::Status Connect();
  absl::Status Run();
  void Stop();                                     // thread-safe

  std::vector<Op> TakeOps();                       // by intended time, after Run
  const std::vector<StreamInfo>& streams() const;  // one a load and lane
  double cpu_s() const;
  const Histogram& lag() const;                    // sent - intended of all that was sent
  uint64_t dropped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::bench
