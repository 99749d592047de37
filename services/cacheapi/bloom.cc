#include "services/cacheapi/bloom.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {

namespace {

__extension__ typedef unsigned __int128 Wide;

// The places of a key: first + i * step, scaled from 2^64 to the bits of the filter.
class Places {
 public:
  Places(std::string_view key, size_t bits) : bits_(bits) {
    const uint64_t hash = std::hash<std::string_view>()(key);
    at_ = Mix(hash);
    step_ = Mix(at_) | 1;
  }
  size_t Next() {
    const auto place = static_cast<size_t>((static_cast<Wide>(at_) * bits_) >> 64);
    at_ += step_;
    return place;
  }

 private:
  size_t bits_;
  uint64_t at_;
  uint64_t step_;
};

}  // namespace

BloomFilter::BloomFilter(size_t keys, double false_positives) {
  const double n = static_cast<double>(std::max<size_t>(1, keys));
  const double p = std::clamp(false_positives, 1e-9, 0.5);
  constexpr double kLn2 = 0.6931471805599453;
  const double wanted = std::ceil(-n * std::log(p) / (kLn2 * kLn2));
  words_.assign(static_cast<size_t>(wanted) / 64 + 1, 0);
  bits_ = words_.size() * 64;
  hashes_ = std::max<size_t>(1, static_cast<size_t>(std::lround(wanted / n * kLn2)));
}

void BloomFilter::Add(std::string_view key) {
  Places places(key, bits_);
  for (size_t i = 0; i < hashes_; ++i) {
    const size_t place = places.Next();
    words_[place / 64] |= uint64_t{1} << (place % 64);
  }
}

bool BloomFilter::MayContain(std::string_view key) const {
  Places places(key, bits_);
  for (size_t i = 0; i < hashes_; ++i) {
    const size_t place = places.Next();
    if ((words_[place / 64] >> (place % 64) & 1) == 0) return false;
  }
  return true;
}

double BloomFilter::ExpectedFalsePositives(size_t added) const {
  const double k = static_cast<double>(hashes_);
  const double load = k * static_cast<double>(added) / static_cast<double>(bits_);
  return std::pow(-std::expm1(-load), k);
}

}  // namespace lab::cacheapi
