#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace lab::cacheapi {

// What a Bloom filter needs to know of a key: 48 bits and 44 bits, the second one odd. So small that a script in Redis,
// which has doubles only, computes the same places from them: (first + i * step) mod bits, exact below 2^53. Stable
// across hosts, builds and libraries (FNV-1a 64, mixed), because filters are shared.
struct BloomHash {
  explicit BloomHash(std::string_view key);
  uint64_t first;
  uint64_t step;
};

// Which keys may exist: a Bloom filter (Bloom 1970) with double hashing (Kirsch and Mitzenmacher, "Less Hashing, Same
// Performance: Building a Better Bloom Filter", 2006). No key that was added is ever denied; of others it lets about
// `false_positives` pass while it holds no more than the keys it is sized for, and more and more beyond.
//
// Add only: taking a key out would take out others. A key must be added before the INSERT that makes it can be seen,
// else the filter denies what exists; what was deleted stays until the filter is built anew. Single thread.
//
// Its bits lie as Redis has those of a string (SETBIT): bit n is the (n mod 8)th of byte n / 8 from the left.
class BloomFilter {
 public:
  // keys >= 1; false_positives is held within 1e-9 … 0.5. Takes 1.44 log2(1 / false_positives) bits a key.
  BloomFilter(size_t keys, double false_positives);
  // The bits of a filter that was made elsewhere, with so many hashes, which are held within 1 … kMostHashes: somebody
  // else says how many, and each is a step of every look.
  BloomFilter(std::string bytes, size_t hashes);
  static constexpr size_t kMostHashes = 64;  // bloom.lua has it too; 1e-9 needs 30

  void Add(std::string_view key) { Add(BloomHash(key)); }
  void Add(const BloomHash& hash);
  bool MayContain(std::string_view key) const { return MayContain(BloomHash(key)); }
  bool MayContain(const BloomHash& hash) const;

  // The share of other keys that passes after so many different ones were added, by theory: (1 - e^(-k n / m))^k.
  double ExpectedFalsePositives(size_t added) const;
  // The same by the bits that are set.
  double FalsePositivesByBits() const;
  size_t bits() const { return bytes_.size() * 8; }
  size_t hashes() const { return hashes_; }
  std::string_view bytes() const { return bytes_; }

 private:
  size_t hashes_;
  std::string bytes_;
};

}  // namespace lab::cacheapi
