#pragma once

#include <cstddef>

#include "services/runtime/base/random.h"
#include "services/runtime/eviction/eviction.h"
#include "services/runtime/eviction/frequency_sketch.h"

namespace lab::eviction {

// W-TinyLFU (Einziger, Friedman, Manes, ACM ToS 2017): what is new lives in an LRU window (1 % at first) until that is
// full. Its oldest then asks for a place in the main part (a segmented LRU: 20 % probation, 80 % protected) and gets it
// only if it was asked for more often lately than the one that would have to go, by a sketch that also remembers what
// is not in the cache. So neither a scan nor a tail of keys asked for once can displace what is used.
//
// Where keys come back soon rather than often, 1 % is too little: the window climbs towards the better hit ratio
// (Einziger, Eytan, Friedman, Manes, "Adaptive Software Cache Management", Middleware 2018), by a sixteenth of the
// capacity and ever less, after every ten requests an entry.
//
// Every 128th candidate that was asked for six times or more gets its place although it loses: otherwise an attacker
// who knows the hash could inflate the count of a key and keep it for ever (as in Caffeine).
class TinyLfu final : public Eviction {
 public:
  explicit TinyLfu(size_t capacity, bool adaptive = true);
  void Add(EvictionItem& item) override;
  void Use(EvictionItem& item) override;
  void Remove(EvictionItem& item) override;
  void Reweigh(EvictionItem& item, size_t before) override;
  EvictionItem& Evict() override;
  size_t weight() const override { return window_.weight() + main_weight(); }
  size_t window_capacity() const { return window_capacity_; }

 private:
  size_t main_weight() const { return probation_.weight() + protected_.weight(); }
  EvictionList& ListOf(const EvictionItem& item);
  bool Admits(const EvictionItem& candidate, const EvictionItem& victim);
  // While there is room for it the window's oldest moves on without asking.
  void Settle();
  void DemoteProtected();
  void SetWindow(size_t capacity);
  // Counts a request, and moves the bounds of the window after enough of them.
  void Climb(bool hit);

  const size_t capacity_;
  const bool adaptive_;
  size_t window_capacity_ = 0;
  size_t protected_capacity_ = 0;
  EvictionList window_, probation_, protected_;
  size_t items_ = 0;
  FrequencySketch sketch_;
  Random random_;

  size_t requests_ = 0, hits_ = 0;  // of this sample
  double last_ratio_ = -1;          // of the one before; negative: there was none
  double step_;                     // by which the window grows next, or shrinks
};

}  // namespace lab::eviction
