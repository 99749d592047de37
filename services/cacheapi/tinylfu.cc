#include "services/cacheapi/tinylfu.h"

#include <algorithm>

namespace lab::cacheapi {

namespace {

enum Queue : uint8_t { kWindow, kProbation, kProtected };
constexpr uint32_t kWarm = 6;
constexpr uint64_t kLuckyOneIn = 128;
constexpr size_t kFirstKeys = 1024;

}  // namespace

TinyLfu::TinyLfu(size_t capacity)
    : capacity_(capacity),
      window_capacity_(std::max<size_t>(1, capacity / 100)),
      protected_capacity_((capacity - std::min(capacity, window_capacity_)) / 5 * 4),
      sketch_(std::min(capacity, kFirstKeys)),
      random_(capacity) {}

EvictionList& TinyLfu::ListOf(const EvictionItem& item) {
  return item.queue == kWindow ? window_ : item.queue == kProbation ? probation_ : protected_;
}

void TinyLfu::Settle() {
  while (window_.weight() > window_capacity_ && weight() <= capacity_) {
    EvictionItem& oldest = *window_.back();
    window_.Remove(oldest);
    oldest.queue = kProbation;
    probation_.PushFront(oldest);
  }
}

void TinyLfu::Add(EvictionItem& item) {
  sketch_.Reserve(++items_);
  sketch_.Count(item.hash);
  item.queue = kWindow;
  window_.PushFront(item);
  Settle();
}

void TinyLfu::Use(EvictionItem& item) {
  sketch_.Count(item.hash);
  if (item.queue != kProbation) {
    ListOf(item).MoveToFront(item);
    return;
  }
  probation_.Remove(item);
  item.queue = kProtected;
  protected_.PushFront(item);
  while (protected_.weight() > protected_capacity_) {
    EvictionItem& oldest = *protected_.back();
    protected_.Remove(oldest);
    oldest.queue = kProbation;
    probation_.PushFront(oldest);
  }
}

void TinyLfu::Remove(EvictionItem& item) {
  ListOf(item).Remove(item);
  --items_;
  Settle();
}

void TinyLfu::Reweigh(EvictionItem& item, size_t before) {
  ListOf(item).Reweigh(item, before);
  Settle();
}

bool TinyLfu::Admits(const EvictionItem& candidate, const EvictionItem& victim) {
  const uint32_t wanted = sketch_.Estimate(candidate.hash);
  if (wanted > sketch_.Estimate(victim.hash)) return true;
  return wanted >= kWarm && random_.Below(kLuckyOneIn) == 0;
}

// A candidate that wins stays in the window until there is room for it, so that a large one has to win against each
// that must go for it.
EvictionItem& TinyLfu::Evict() {
  EvictionItem* candidate = window_.weight() > window_capacity_ ? window_.back() : nullptr;
  EvictionItem* victim = !probation_.empty() ? probation_.back() : protected_.back();
  if (victim == nullptr) {
    victim = window_.back();
  } else if (candidate != nullptr && !Admits(*candidate, *victim)) {
    victim = candidate;
  }
  Remove(*victim);
  return *victim;
}

}  // namespace lab::cacheapi
