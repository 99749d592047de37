#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/model/trial.h"
#include "services/runtime/base/random.h"

namespace lab::bench {

// A stretch of time in which the offered rate goes linearly from one value to another.
struct RateSegment {
  double begin_s = 0, end_s = 0;
  double begin_per_s = 0, end_per_s = 0;
};

// The offered rate of a load over its timeline, in ascending order, one or more segments a phase:
//   constant, poisson  the declared rate
//   ramp               from `rate` to `to` over the whole timeline
//   step               `rate`, then `steps` equal steps up (or down) to `to`, all levels equally long
//   spike              `rate`, and `to` in the middle third of the timeline
// A rate declared for a phase overrides the shape in that phase.
std::vector<RateSegment> RateCurve(const LoadSpec& load, const std::vector<Phase>& phases);

// The times of arrivals along a curve, one at a time. Evenly spaced in the integral of the rate (`even`: constant
// arrivals), or a Poisson process with that rate, by inverting the integral at the points of a process of rate 1
// (Lewis and Shedler 1979; Çinlar, "Introduction to Stochastic Processes", 1975, ch. 4).
class RateArrivals {
 public:
  RateArrivals(std::vector<RateSegment> curve, bool even, uint64_t seed);
  // Nanoseconds since t = 0, ascending; nothing after the end of the curve.
  std::optional<int64_t> Next();

 private:
  std::vector<RateSegment> curve_;
  bool even_;
  Random random_;
  size_t segment_ = 0;
  double next_mass_;  // expected arrivals from the begin of the segment to the next arrival
};

}  // namespace lab::bench
