#include "bench/load/endless_arrivals.h"

#include <algorithm>
#include <limits>

#include "bench/load/schedule.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

EndlessArrivals::EndlessArrivals(const LoadSpec& load, uint64_t seed)
    : base_per_s_(std::max(load.rate.per_s, 0.0)),
      even_(load.arrivals == Arrivals::kConstant),
      random_(SeedFor(seed, load.name, "arrivals")),
      keys_(load.keys, SeedFor(seed, load.name, "keys")),
      mass_(even_ ? 0.5 : random_.Exponential(1)) {  // as RateArrivals begins
  next_.key = keys_.Next();
  Place();
}

void EndlessArrivals::Advance() {
  mass_ += even_ ? 1.0 : random_.Exponential(1);
  next_.key = keys_.Next();
  Place();
}

void EndlessArrivals::SetFactor(double factor, int64_t now_ns) {
  // An arrival that is due already stays as it is; the rest of the change counts from it on.
  const int64_t from_ns = std::min(now_ns, next_.intended_ns);
  if (from_ns > since_ns_) {
    mass_ = std::max(mass_ - static_cast<double>(from_ns - since_ns_) / 1e9 * per_s(), 0.0);
    since_ns_ = from_ns;
  }
  factor_ = std::max(factor, 0.0);
  Place();
}

void EndlessArrivals::Place() {
  constexpr double kFarthestS = 1e9;  // 30 years
  const double wait_s = per_s() > 0 ? mass_ / per_s() : kFarthestS;
  next_.intended_ns =
      wait_s < kFarthestS ? since_ns_ + static_cast<int64_t>(wait_s * 1e9) : std::numeric_limits<int64_t>::max();
}

absl::Status CheckEndless(const LoadSpec& load) {
  if (UsesKnee(load)) {
    return absl::FailedPreconditionError(Concat("load \"", load.name, "\" is a share of a knee that is not known"));
  }
  if (load.arrivals == Arrivals::kConstant || load.arrivals == Arrivals::kPoisson) return absl::OkStatus();
  return absl::InvalidArgumentError(Concat("load \"", load.name,
                                           "\" cannot go on without end: only constant and poisson arrivals have one "
                                           "rate"));
}

}  // namespace lab::bench
