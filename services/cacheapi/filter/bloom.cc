#include "services/cacheapi/filter/bloom.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "services/runtime/base/random.h"

namespace lab::cacheapi {
namespace {

constexpr uint64_t kFirstBits = 48, kStepBits = 44;

uint64_t Fnv1a(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : key) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  return hash;
}

unsigned char Mask(size_t place) { return static_cast<unsigned char>(0x80U >> (place % 8)); }

}  // namespace

BloomHash::BloomHash(std::string_view key) {
  const uint64_t hash = Mix(Fnv1a(key));
  first = hash >> (64 - kFirstBits);
  step = Mix(hash) >> (64 - kStepBits) | 1;
}

BloomFilter::BloomFilter(size_t keys, double false_positives) {
  const double n = static_cast<double>(std::max<size_t>(1, keys));
  const double p = std::clamp(false_positives, 1e-9, 0.5);
  constexpr double kLn2 = 0.6931471805599453;
  const double wanted = std::ceil(-n * std::log(p) / (kLn2 * kLn2));
  bytes_.assign((static_cast<size_t>(wanted) / 64 + 1) * 8, '\0');
  hashes_ = std::max<size_t>(1, static_cast<size_t>(std::lround(wanted / n * kLn2)));
}

BloomFilter::BloomFilter(std::string bytes, size_t hashes)
    : hashes_(std::clamp<size_t>(hashes, 1, kMostHashes)), bytes_(std::move(bytes)) {
  if (bytes_.empty()) bytes_.assign(8, '\xff');  // of nothing: denies nothing
}

void BloomFilter::Add(const BloomHash& hash) {
  for (size_t i = 0; i < hashes_; ++i) {
    const size_t place = (hash.first + i * hash.step) % bits();
    bytes_[place / 8] = static_cast<char>(static_cast<unsigned char>(bytes_[place / 8]) | Mask(place));
  }
}

bool BloomFilter::MayContain(const BloomHash& hash) const {
  for (size_t i = 0; i < hashes_; ++i) {
    const size_t place = (hash.first + i * hash.step) % bits();
    if ((static_cast<unsigned char>(bytes_[place / 8]) & Mask(place)) == 0) return false;
  }
  return true;
}

double BloomFilter::ExpectedFalsePositives(size_t added) const {
  const double k = static_cast<double>(hashes_);
  const double load = k * static_cast<double>(added) / static_cast<double>(bits());
  return std::pow(-std::expm1(-load), k);
}

double BloomFilter::FalsePositivesByBits() const {
  size_t set = 0;
  for (const char byte : bytes_) set += static_cast<size_t>(std::popcount(static_cast<unsigned char>(byte)));
  return std::pow(static_cast<double>(set) / static_cast<double>(bits()), static_cast<double>(hashes_));
}

}  // namespace lab::cacheapi
