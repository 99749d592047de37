#pragma once

#include "services/runtime/eviction/eviction.h"

namespace lab::eviction {

// Least recently used: what every other policy is compared with. One scan of keys that never return empties it.
class Lru final : public Eviction {
 public:
  void Add(EvictionItem& item) override;
  void Use(EvictionItem& item) override;
  void Remove(EvictionItem& item) override;
  void Reweigh(EvictionItem& item, size_t before) override;
  EvictionItem& Evict() override;
  size_t weight() const override { return list_.weight(); }

 private:
  EvictionList list_;
};

}  // namespace lab::eviction
