#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "services/runtime/eviction/eviction.h"

namespace lab::eviction {

// Hashes of what was evicted lately, oldest out first, up to a sum of weights. A hash costs about 50 bytes, which count
// towards no capacity.
class GhostQueue {
 public:
  explicit GhostQueue(size_t capacity) : capacity_(capacity) {}
  void Add(uint64_t hash, size_t weight);
  // Whether it was there; it is not any more.
  bool Take(uint64_t hash);
  size_t weight() const { return weight_; }
  size_t size() const { return index_.size(); }

 private:
  static constexpr uint32_t kNone = ~uint32_t{0};
  struct Ghost {
    uint64_t hash = 0;
    size_t weight = 0;
    uint32_t newer = kNone;
    uint32_t older = kNone;  // of a free one: the next free one
  };
  void Unlink(uint32_t at);

  const size_t capacity_;
  size_t weight_ = 0;
  std::vector<Ghost> ghosts_;
  absl::flat_hash_map<uint64_t, uint32_t> index_;
  uint32_t newest_ = kNone, oldest_ = kNone, free_ = kNone;
};

// S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023, algorithm 1):
// what is new waits in a small queue (10 %) and is moved to the main one when it was used twice there, so that what is
// asked for once leaves soon. Who comes back while its ghost is remembered goes to the main queue at once; there a use
// buys another round, three at most. A hit counts to three and moves nothing.
//
// Where the paper counts objects this sums weights: an entry heavier than the small queue has to come back while its
// ghost is remembered. Ghosts are remembered up to the weight of the main queue.
class S3Fifo final : public Eviction {
 public:
  explicit S3Fifo(size_t capacity);
  void Add(EvictionItem& item) override;
  void Use(EvictionItem& item) override;
  void Remove(EvictionItem& item) override;
  void Reweigh(EvictionItem& item, size_t before) override;
  EvictionItem& Evict() override;
  size_t weight() const override { return small_.weight() + main_.weight(); }

 private:
  EvictionList& ListOf(const EvictionItem& item);
  EvictionItem* EvictFromSmall();
  EvictionItem* EvictFromMain();

  const size_t small_capacity_;
  EvictionList small_, main_;
  GhostQueue ghosts_;
};

}  // namespace lab::eviction
