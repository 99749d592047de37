#pragma once

#include <cstddef>

#include "services/cacheapi/eviction.h"
#include "services/cacheapi/frequency_sketch.h"
#include "services/runtime/base/random.h"

namespace lab::cacheapi {

// W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017): what is new lives in a small LRU window (1 %) until that is
// full. Its oldest then asks for a place in the main part (a segmented LRU: 20 % probation, 80 % protected) and gets it
// only if it was asked for more often lately than the one that would have to go, by a sketch that also remembers what
// is not in the cache. So neither a scan nor a tail of keys asked for once can displace what is used.
//
// Every 128th candidate that was asked for six times or more gets its place although it loses: otherwise an attacker
// who knows the hash could inflate the count of a key and keep it for ever (as in Caffeine).
class TinyLfu final : public Eviction {
 public:
  explicit TinyLfu(size_t capacity);
  void Add(EvictionItem& item) override;
  void Use(EvictionItem& item) override;
  void Remove(EvictionItem& item) override;
  void Reweigh(EvictionItem& item, size_t before) override;
  EvictionItem& Evict() override;
  size_t weight() const override { return window_.weight() + main_weight(); }

 private:
  size_t main_weight() const { return probation_.weight() + protected_.weight(); }
  EvictionList& ListOf(const EvictionItem& item);
  bool Admits(const EvictionItem& candidate, const EvictionItem& victim);
  // While there is room for it the window's oldest moves on without asking.
  void Settle();

  const size_t capacity_;
  const size_t window_capacity_;
  const size_t protected_capacity_;
  EvictionList window_, probation_, protected_;
  size_t items_ = 0;
  FrequencySketch sketch_;
  Random random_;
};

}  // namespace lab::cacheapi
