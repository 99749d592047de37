#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "bench/labfile/lab.h"
#include "bench/load/keys.h"
#include "bench/model/trial.h"
#include "services/runtime/base/random.h"

namespace lab::bench {

// The arrivals of a load that does not end, drawn one at a time as they come due: constant or Poisson at the load's
// rate times a factor that may change at any moment. At a factor of 1 they are those that a planned run with the same
// seed begins with. Bursts and rates of phases belong to a timeline and are not part of it.
class EndlessArrivals {
 public:
  EndlessArrivals(const LoadSpec& load, uint64_t seed);

  // The next one; intended at INT64_MAX while the rate is 0.
  const Arrival& next() const { return next_; }
  void Advance();
  // From `now_ns` on. What of the distance to the next arrival has not passed is covered at the new rate, so that
  // neither a constant nor a Poisson process notices more of the change than its rate.
  void SetFactor(double factor, int64_t now_ns);
  double per_s() const { return base_per_s_ * factor_; }

 private:
  void Place();

  const double base_per_s_;
  const bool even_;
  double factor_ = 1;
  Random random_;
  KeySampler keys_;
  int64_t since_ns_ = 0;  // of the last change of the rate
  double mass_;           // expected arrivals from then to the next one
  Arrival next_;
};

// OK, or why the load cannot be endless: replay and closed have no rate of their own to change; ramp, step and spike
// are shapes of a timeline.
absl::Status CheckEndless(const LoadSpec& load);

}  // namespace lab::bench
