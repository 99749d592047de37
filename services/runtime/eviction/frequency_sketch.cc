#include "services/runtime/eviction/frequency_sketch.h"

#include <algorithm>
#include <bit>

#include "services/runtime/base/random.h"

namespace lab::eviction {

namespace {

constexpr size_t kCountersAKey = 4;  // of a row
constexpr size_t kLeastKeys = 64;
constexpr size_t kSampleOfKeys = 10;

}  // namespace

size_t FrequencySketch::Place(uint64_t hash, size_t row) const {
  return row * width_ + (Mix(hash + row) & (width_ - 1));
}

void FrequencySketch::Count(uint64_t hash) {
  size_t places[kRows];
  uint32_t least = kMost;
  for (size_t row = 0; row < kRows; ++row) {
    places[row] = Place(hash, row);
    least = std::min(least, At(places[row]));
  }
  if (least == kMost) return;
  for (const size_t place : places) {
    if (At(place) == least) words_[place / kInWord] += uint64_t{1} << (4 * (place % kInWord));
  }
  if (++counts_ >= sample_) Halve();
}

uint32_t FrequencySketch::Estimate(uint64_t hash) const {
  uint32_t least = kMost;
  for (size_t row = 0; row < kRows; ++row) least = std::min(least, At(Place(hash, row)));
  return least;
}

// Each row twice, one behind the other: a key's new place is one of the two that its old one became.
void FrequencySketch::Reserve(size_t keys) {
  keys = std::bit_ceil(std::max(keys, kLeastKeys));
  sample_ = std::max(sample_, kSampleOfKeys * keys);
  if (words_.empty()) {
    width_ = kCountersAKey * keys;
    words_.assign(kRows * width_ / kInWord, 0);
  }
  while (width_ < kCountersAKey * keys) {
    const size_t row_words = width_ / kInWord;
    std::vector<uint64_t> wider;
    wider.reserve(2 * words_.size());
    for (size_t row = 0; row < kRows; ++row) {
      const auto begin = words_.begin() + static_cast<std::ptrdiff_t>(row * row_words);
      for (int copy = 0; copy < 2; ++copy) {
        wider.insert(wider.end(), begin, begin + static_cast<std::ptrdiff_t>(row_words));
      }
    }
    words_ = std::move(wider);
    width_ *= 2;
  }
}

void FrequencySketch::Halve() {
  constexpr uint64_t kLowBits = 0x7777777777777777;
  for (uint64_t& word : words_) word = (word >> 1) & kLowBits;
  counts_ /= 2;
}

}  // namespace lab::eviction
