#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace lab::cacheapi {

// Which keys may exist: a Bloom filter (Bloom 1970) with double hashing (Kirsch and Mitzenmacher, "Less Hashing, Same
// Performance: Building a Better Bloom Filter", 2006). No key that was added is ever denied; of others it lets about
// `false_positives` pass while it holds no more than the keys it is sized for, and more and more beyond.
//
// Add only: taking a key out would take out others. A key must be added before the INSERT that makes it can be seen,
// else the filter denies what exists; what was deleted stays until the filter is built anew. Single thread.
class BloomFilter {
 public:
  // keys >= 1; false_positives is held within 1e-9 … 0.5. Takes 1.44 log2(1 / false_positives) bits a key.
  BloomFilter(size_t keys, double false_positives);

  void Add(std::string_view key);
  bool MayContain(std::string_view key) const;

  // The share of other keys that passes after so many different ones were added, by theory: (1 - e^(-k n / m))^k.
  double ExpectedFalsePositives(size_t added) const;
  size_t bits() const { return bits_; }
  size_t hashes() const { return hashes_; }

 private:
  size_t bits_;
  size_t hashes_;
  std::vector<uint64_t> words_;
};

}  // namespace lab::cacheapi
