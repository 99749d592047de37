#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/model/trial.h"

// What charts and tables need of a trial's operations, small enough to be kept in result.json so that a report can be
// made again without the operations.
namespace lab::bench {

// One step of the timeline. Offered and dropped stand at the intended time of an operation, what became of it at the
// time it was done; latencies (from the intended time, over everything that was sent) at the intended time again.
struct Bucket {
  uint64_t offered = 0, ok = 0, failed = 0, unknown = 0, dropped = 0;
  uint64_t admitted = 0, limited = 0;
  uint64_t samples = 0;  // behind the latencies; 0: there are none
  double p50_s = 0, p99_s = 0, max_s = 0;
};

// Places of the latency spectrum; a quantile q is kept only where at least ten samples lie beyond it.
inline constexpr double kSpectrum[] = {0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999};

// The operations that were intended in one phase.
struct PhaseStats {
  std::string phase;
  uint64_t offered = 0, ok = 0, failed = 0, unknown = 0, dropped = 0;
  uint64_t admitted = 0, limited = 0;
  uint64_t samples = 0;
  double p50_s = 0, p99_s = 0, max_s = 0;  // from the intended time
  double service_p99_s = 0;                // from the sent time
  double lag_p99_s = 0;                    // of the generator: sent - intended
  std::vector<double> spectrum_s;          // at kSpectrum, as far as the sample carries
};

struct StreamTimeline {
  std::string name;
  std::vector<uint64_t> admitted;  // a bucket each
};

struct Timeline {
  double step_s = 0.25;
  std::vector<Bucket> buckets;          // from t = 0
  std::vector<StreamTimeline> streams;  // only where a trial has several
  std::vector<PhaseStats> phases;
};

// 250 ms steps for trials up to a minute, else 1 s. At most ten seconds beyond the last phase (operations that were
// answered late); what is later counts in the last step.
Timeline MakeTimeline(const Trial& trial);

}  // namespace lab::bench
