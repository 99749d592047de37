#include "services/runtime/base/random.h"

#include <bit>
#include <cmath>

namespace lab {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr uint64_t kGoldenGamma = 0x9e3779b97f4a7c15;

// The finalizer of splitmix64 (Steele, Lea, Flood 2014; constants by Stafford).
uint64_t Finalize(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += kGoldenGamma;
    word = Finalize(seed);
  }
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

// Lemire, "Fast Random Integer Generation in an Interval" (2019): a multiplication, and a rejection only where the
// range does not divide 2^64.
uint64_t Random::Below(uint64_t bound) {
  Wide product = static_cast<Wide>(Next()) * bound;
  if (static_cast<uint64_t>(product) < bound) {
    const uint64_t threshold = -bound % bound;
    while (static_cast<uint64_t>(product) < threshold) product = static_cast<Wide>(Next()) * bound;
  }
  return static_cast<uint64_t>(product >> 64);
}

double Random::Exponential(double mean) {
  // 52 bits and a half: never 0 and never 1, so that the logarithm is finite and not zero.
  const double open_unit = (static_cast<double>(Next() >> 12) + 0.5) * 0x1p-52;
  return -mean * std::log(open_unit);
}

uint64_t Mix(uint64_t value) { return Finalize(value + kGoldenGamma); }

}  // namespace lab
