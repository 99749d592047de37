#include "services/runtime/eviction/lru.h"

namespace lab::eviction {

void Lru::Add(EvictionItem& item) { list_.PushFront(item); }
void Lru::Use(EvictionItem& item) { list_.MoveToFront(item); }
void Lru::Remove(EvictionItem& item) { list_.Remove(item); }
void Lru::Reweigh(EvictionItem& item, size_t before) { list_.Reweigh(item, before); }

EvictionItem& Lru::Evict() {
  EvictionItem& victim = *list_.back();
  list_.Remove(victim);
  return victim;
}

}  // namespace lab::eviction
