#pragma once

#include <cstdint>

#include "bench/labfile/lab.h"
#include "services/runtime/base/random.h"

namespace lab::bench {

// Draws keys 0 … count - 1 as a KeySpec says. Same spec and seed: same keys. Key 0 is the most frequent one of `zipf`
// and the hot one of `hot`, whose other keys share the rest evenly; `sequence` goes round.
class KeySampler {
 public:
  KeySampler(const KeySpec& spec, uint64_t seed);
  uint32_t Next();

 private:
  // Exact for every count and exponent at a constant cost: rejection-inversion (W. Hörmann and G. Derflinger,
  // "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996).
  uint32_t Zipf();
  double Hat(double x) const;  // x^-exponent
  double HatIntegral(double x) const;
  double HatIntegralInverse(double x) const;

  KeySpec spec_;
  Random random_;
  uint32_t next_ = 0;
  double integral_first_ = 0;
  double integral_last_ = 0;
  double accept_below_ = 0;
};

}  // namespace lab::bench
