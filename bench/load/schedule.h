#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/model/trial.h"

namespace lab::bench {

// Distance between two operations of a burst. A burst is a very high rate rather than one instant: 10,000 operations at
// one nanosecond would measure how fast the generator writes.
inline constexpr int64_t kBurstGapNs = 20'000;

// The whole schedule of a load, by intended time: a pure function of its arguments, so that every variant of a run sees
// the same arrivals and anybody can compute them again. Lanes share it. ramp, step and spike are Poisson arrivals along
// their shape (rate_curve.h). Bursts: at each place of each period of the Unix epoch that lies in their phase, `count`
// arrivals of key 0, then of key 1, and so on, kBurstGapNs apart for each lane. Replay: the lines "seconds[,key]" of
// the file, ascending, "#" for comments; without a key it is drawn. Empty for a closed loop, whose arrivals depend on
// the answers. More than `max_arrivals`: RESOURCE_EXHAUSTED.
absl::StatusOr<std::vector<Arrival>> MakeSchedule(const LoadSpec& load, const std::vector<Phase>& phases, uint64_t seed,
                                                  int64_t start_unix_ns, size_t max_arrivals);

// Seeds of the independent random sequences of a run: one for each load and purpose ("arrivals", "keys").
uint64_t SeedFor(uint64_t seed, const std::string& load, const std::string& purpose);

}  // namespace lab::bench
