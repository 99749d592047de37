#include "bench/load/rate_curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lab::bench {
namespace {

// The shape of a load over the whole timeline, before rates of phases override it.
std::vector<RateSegment> Shape(const LoadSpec& load, double end_s) {
  const double from = load.rate.per_s;
  const double to = load.ramp_to_per_s;
  switch (load.arrivals) {
    case Arrivals::kRamp:
      return {{0, end_s, from, to}};
    case Arrivals::kStep: {
      std::vector<RateSegment> levels;
      const int steps = std::max(load.steps, 1);
      const double length_s = end_s / (steps + 1);
      for (int i = 0; i <= steps; ++i) {
        const double rate = from + (to - from) * i / steps;
        levels.push_back({i * length_s, i == steps ? end_s : (i + 1) * length_s, rate, rate});
      }
      return levels;
    }
    case Arrivals::kSpike:
      return {{0, end_s / 3, from, from}, {end_s / 3, end_s * 2 / 3, to, to}, {end_s * 2 / 3, end_s, from, from}};
    default:
      return {{0, end_s, from, from}};
  }
}

double RateAt(const RateSegment& segment, double at_s) {
  const double length_s = segment.end_s - segment.begin_s;
  if (length_s <= 0) return segment.begin_per_s;
  return segment.begin_per_s + (segment.end_per_s - segment.begin_per_s) * (at_s - segment.begin_s) / length_s;
}

// The part of `segment` that lies in [begin_s, end_s).
RateSegment Cut(const RateSegment& segment, double begin_s, double end_s) {
  RateSegment part{std::max(segment.begin_s, begin_s), std::min(segment.end_s, end_s), 0, 0};
  part.begin_per_s = RateAt(segment, part.begin_s);
  part.end_per_s = RateAt(segment, part.end_s);
  return part;
}

double Mass(const RateSegment& segment) {
  return (segment.begin_per_s + segment.end_per_s) / 2 * (segment.end_s - segment.begin_s);
}

// The time at which the integral of the rate from the begin of the segment reaches `mass`.
double TimeOfMass(const RateSegment& segment, double mass) {
  const double slope = (segment.end_per_s - segment.begin_per_s) / (segment.end_s - segment.begin_s);
  const double root = std::sqrt(std::max(0.0, segment.begin_per_s * segment.begin_per_s + 2 * slope * mass));
  return segment.begin_s + 2 * mass / (segment.begin_per_s + root);
}

}  // namespace

std::vector<RateSegment> RateCurve(const LoadSpec& load, const std::vector<Phase>& phases) {
  const double end_s = phases.empty() ? 0 : phases.back().end_s;
  const std::vector<RateSegment> shape = Shape(load, end_s);
  std::vector<RateSegment> curve;
  for (const Phase& phase : phases) {
    const auto declared = load.rate.by_phase.find(phase.name);
    if (declared != load.rate.by_phase.end()) {
      curve.push_back({phase.begin_s, phase.end_s, declared->second, declared->second});
      continue;
    }
    for (const RateSegment& segment : shape) {
      const RateSegment part = Cut(segment, phase.begin_s, phase.end_s);
      if (part.end_s > part.begin_s) curve.push_back(part);
    }
  }
  return curve;
}

// The first evenly spaced arrival comes after half a gap, so that a segment with a whole number of expected arrivals
// gets exactly that many, whatever the rounding at its ends.
RateArrivals::RateArrivals(std::vector<RateSegment> curve, bool even, uint64_t seed)
    : curve_(std::move(curve)), even_(even), random_(seed), next_mass_(even ? 0.5 : random_.Exponential(1)) {}

std::optional<int64_t> RateArrivals::Next() {
  for (; segment_ < curve_.size(); ++segment_) {
    const RateSegment& segment = curve_[segment_];
    const double mass = Mass(segment);
    if (next_mass_ < mass) {
      const double at_s = std::min(TimeOfMass(segment, next_mass_), segment.end_s);
      next_mass_ += even_ ? 1.0 : random_.Exponential(1);
      return static_cast<int64_t>(at_s * 1e9);
    }
    next_mass_ -= mass;
  }
  return std::nullopt;
}

}  // namespace lab::bench
