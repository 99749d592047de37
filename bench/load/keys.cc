#include "bench/load/keys.h"

#include <algorithm>
#include <cmath>

namespace lab::bench {
namespace {

// log(1 + x) / x and (e^x - 1) / x, which are 1 at 0: exponent 1 is the limit of the general formula.
double LogRatio(double x) { return std::abs(x) > 1e-8 ? std::log1p(x) / x : 1 - x / 2; }
double ExpRatio(double x) { return std::abs(x) > 1e-8 ? std::expm1(x) / x : 1 + x / 2; }

}  // namespace

KeySampler::KeySampler(const KeySpec& spec, uint64_t seed) : spec_(spec), random_(seed) {
  spec_.count = std::max<uint32_t>(spec_.count, 1);
  if (spec_.kind != KeySpec::Kind::kZipf) return;
  integral_first_ = HatIntegral(1.5) - 1;
  integral_last_ = HatIntegral(spec_.count + 0.5);
  accept_below_ = 2 - HatIntegralInverse(HatIntegral(2.5) - Hat(2));
}

uint32_t KeySampler::Next() {
  switch (spec_.kind) {
    case KeySpec::Kind::kUniform:
      return static_cast<uint32_t>(random_.Below(spec_.count));
    case KeySpec::Kind::kZipf:
      return Zipf();
    case KeySpec::Kind::kHot:
      if (random_.Uniform() < spec_.hot_share || spec_.count == 1) return 0;
      return 1 + static_cast<uint32_t>(random_.Below(spec_.count - 1));
    case KeySpec::Kind::kSequence:
      const uint32_t key = next_;
      next_ = next_ + 1 == spec_.count ? 0 : next_ + 1;
      return key;
  }
  return 0;
}

uint32_t KeySampler::Zipf() {
  // The expected number of rounds is below 1.4 for every exponent and count.
  while (true) {
    const double u = integral_last_ + random_.Uniform() * (integral_first_ - integral_last_);
    const double x = HatIntegralInverse(u);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(spec_.count));
    if (rank - x <= accept_below_ || u >= HatIntegral(rank + 0.5) - Hat(rank)) return static_cast<uint32_t>(rank) - 1;
  }
}

double KeySampler::Hat(double x) const { return std::exp(-spec_.exponent * std::log(x)); }

double KeySampler::HatIntegral(double x) const {
  const double log_x = std::log(x);
  return ExpRatio((1 - spec_.exponent) * log_x) * log_x;
}

double KeySampler::HatIntegralInverse(double x) const {
  // Rounding may carry the product below -1, the end of the domain of log1p.
  return std::exp(LogRatio(std::max(x * (1 - spec_.exponent), -1.0)) * x);
}

}  // namespace lab::bench
