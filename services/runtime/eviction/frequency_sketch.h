#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lab::eviction {

// How often keys were asked for lately, by their hashes: a count-min sketch of four rows of 4-bit counters (Cormode and
// Muthukrishnan, 2005) with conservative update, halved after ten times as many counts as the keys it is made for
// (Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 2017, section 3.3).
// An estimate is never below the halved truth (but for rounding down) and at most 15. 8 to 16 bytes a key.
class FrequencySketch {
 public:
  explicit FrequencySketch(size_t keys) { Reserve(keys); }
  void Count(uint64_t hash);
  uint32_t Estimate(uint64_t hash) const;
  // Makes it large enough for so many keys; never smaller. What was counted stays.
  void Reserve(size_t keys);

  // After so many counts it is halved.
  size_t sample() const { return sample_; }

  static constexpr uint32_t kMost = 15;

 private:
  static constexpr size_t kRows = 4;
  static constexpr size_t kInWord = 16;
  // The place of a key in a row, as a counter's number within `words_`.
  size_t Place(uint64_t hash, size_t row) const;
  uint32_t At(size_t place) const { return (words_[place / kInWord] >> (4 * (place % kInWord))) & 15; }
  void Halve();

  std::vector<uint64_t> words_;  // row by row
  size_t width_ = 0;             // counters of a row, a power of two
  size_t counts_ = 0;
  size_t sample_ = 0;
};

}  // namespace lab::eviction
