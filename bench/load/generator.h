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
  double p50_s = 0, p99_s = 0, p999_s = 0, max_s = 0, lag_p99_s = 0;
  uint64_t in_flight = 0;     // at the end of the second
  double in_flight_mean = 0;  // over the second
};

// Drives the loads of one trial in a thread of its own: schedules first, sends at the intended time, never slows down
// for the system under test. Bounded in flight, in count and in time.
class Generator {
 public:
  struct Options {
    std::vector<LoadSpec> loads;
    std::vector<Phase> phases;                                  // the whole timeline, from 0
    std::map<std::string, std::vector<std::string>> endpoints;  // target → "127.0.0.1:port" of each replica
    uint64_t seed = 1;
    // Wall clock of t = 0, for patterns aligned to the epoch: Run waits until then (at most a minute; a time that has
    // passed shows as lag). 0: t = 0 is when Run begins, and patterns are aligned to it.
    int64_t start_unix_ns = 0;
    // Without a timeline: loads go on at their rate until Stop, arrivals are drawn as they come due, no operation is
    // kept after its end (TakeOps is empty) and streams have no schedule. Only constant and poisson loads; `phases`,
    // bursts and `max_ops` mean nothing. Memory does not grow with time.
    bool endless = false;
    double starve = 0;  // share of time in which the generator is kept from running (0 … 1)
    size_t max_ops = 5'000'000;
    int cpu = -1;  // pin to this CPU; -1: not
    // Ask for SCHED_FIFO, so that arrivals leave on time while the system under test uses every core, as if the load
    // came from another host. Without the right to it (root, CAP_SYS_NICE), or on a single core, it runs like
    // everything else.
    bool realtime = true;
    std::function<void(const LiveLoad&)> on_second;  // on the generator's thread
  };
  explicit Generator(Options options);
  ~Generator();

  // Makes the schedules, connects and warms connections. Errors: INVALID_ARGUMENT for a load that cannot be,
  // UNAVAILABLE naming the endpoint that does not answer, RESOURCE_EXHAUSTED for a schedule of more than max_ops
  // operations.
  absl::Status Connect();
  // Drives until the timeline ends or Stop, and waits for what is in flight (at most the time-out). Once, after
  // Connect.
  absl::Status Run();
  // Thread-safe. Nothing more is sent; Run returns within a second, and what has no answer by then is unknown.
  void Stop();
  // Thread-safe, while an endless load runs or before: the rate of every load from now on, as a multiple of its own.
  // Arrivals that are due already stay.
  void SetRateFactor(double factor);

  std::vector<Op> TakeOps();                       // by intended time, after Run
  const std::vector<StreamInfo>& streams() const;  // one a load and lane
  double cpu_s() const;                            // of the generator's thread, after Run
  bool realtime() const;                           // whether it was scheduled so, after Run
  int64_t started_unix_ns() const;                 // wall clock of t = 0, after Run
  const Histogram& lag() const;                    // sent - intended of all that was sent
  uint64_t dropped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::bench
