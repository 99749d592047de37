#pragma once

#include <array>
#include <cstdint>

namespace lab {

// xoshiro256** seeded by splitmix64 (Blackman and Vigna, https://prng.di.unimi.it). Same seed, same sequence, on every
// host and library: runs with one seed are repeatable, which the distributions of <random> do not promise.
class Random {
 public:
  explicit Random(uint64_t seed);
  uint64_t Next();
  double Uniform();                 // [0, 1)
  uint64_t Below(uint64_t bound);   // [0, bound), unbiased; bound > 0
  double Exponential(double mean);  // > 0

 private:
  std::array<uint64_t, 4> state_;
};

// A well mixed 64-bit hash, stable across hosts and versions.
uint64_t Mix(uint64_t value);

}  // namespace lab
