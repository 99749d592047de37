#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lab::cacheapi {

// Generations of keys: a fill notes the generation before it reads anything, and may store only while it is the same.
// An invalidation in between makes it another one, so that what was read before the write is never kept after it.
//
// Bounded memory for all keys there are, also those that are in no cache: keys share the generations by hash, and an
// invalidation fences the fills of those that share with it too. Such a fill is thrown away for nothing; with I
// invalidations during a fill that happens to one in generations / I. Never the other way round.
class Fences {
 public:
  // So many generations, rounded up to a power of two; 4 bytes each.
  explicit Fences(size_t generations);
  uint64_t Generation(uint64_t hash) const { return all_ + generations_[hash & mask_]; }
  void Advance(uint64_t hash) { ++generations_[hash & mask_]; }
  void AdvanceAll();

 private:
  uint64_t all_ = 0;  // grows by 2^32, so that no sum comes back
  size_t mask_;
  std::vector<uint32_t> generations_;
};

}  // namespace lab::cacheapi
