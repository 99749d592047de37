#include "services/runtime/eviction/tinylfu.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lab::eviction {

namespace {

enum Queue : uint8_t { kWindow, kProbation, kProtected };
constexpr uint32_t kWarm = 6;
constexpr uint64_t kLuckyOneIn = 128;
constexpr size_t kFirstKeys = 1024;
// Of the capacity, as in Caffeine.
constexpr double kStep = 1.0 / 16, kDecay = 0.98, kOtherLoad = 0.05, kMostWindow = 0.8;
constexpr size_t kNearlyFull = 8;
constexpr int kMostMoves = 64;  // from the window in one call

size_t LeastWindow(size_t capacity) { return std::max<size_t>(1, capacity / 100); }

}  // namespace

TinyLfu::TinyLfu(size_t capacity, bool adaptive)
    : capacity_(capacity),
      adaptive_(adaptive),
      sketch_(std::min(capacity, kFirstKeys)),
      random_(capacity),
      step_(kStep * static_cast<double>(capacity)) {
  SetWindow(LeastWindow(capacity));
}

void TinyLfu::SetWindow(size_t capacity) {
  window_capacity_ = capacity;
  protected_capacity_ = (capacity_ - std::min(capacity_, window_capacity_)) / 5 * 4;
  DemoteProtected();
}

// A window that has grown fills as new items come, one that has shrunk hands over at Settle: no call moves much.
void TinyLfu::Climb(bool hit) {
  hits_ += hit ? 1 : 0;
  if (!adaptive_ || ++requests_ < sketch_.sample()) return;
  const double ratio = static_cast<double>(hits_) / static_cast<double>(requests_);
  requests_ = hits_ = 0;
  if (last_ratio_ < 0 || weight() < capacity_ - capacity_ / kNearlyFull) {
    last_ratio_ = ratio;  // still filling: whatever was done, the ratio would have risen
    return;
  }
  const double change = ratio - std::exchange(last_ratio_, ratio);
  if (change < 0) step_ = -step_;
  const double most = kMostWindow * static_cast<double>(capacity_);
  const double least = static_cast<double>(LeastWindow(capacity_));
  const double wanted = static_cast<double>(window_capacity_) + step_;
  SetWindow(static_cast<size_t>(std::clamp(wanted, least, std::max(least, most))));
  const double restart = std::copysign(kStep * static_cast<double>(capacity_), step_);
  step_ = std::abs(change) >= kOtherLoad ? restart : kDecay * step_;
}

EvictionList& TinyLfu::ListOf(const EvictionItem& item) {
  return item.queue == kWindow ? window_ : item.queue == kProbation ? probation_ : protected_;
}

void TinyLfu::Settle() {
  for (int move = 0; move < kMostMoves && window_.weight() > window_capacity_ && weight() <= capacity_; ++move) {
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
  Climb(false);
  Settle();
}

void TinyLfu::DemoteProtected() {
  for (int move = 0; move < kMostMoves && protected_.weight() > protected_capacity_; ++move) {
    EvictionItem& oldest = *protected_.back();
    protected_.Remove(oldest);
    oldest.queue = kProbation;
    probation_.PushFront(oldest);
  }
}

void TinyLfu::Use(EvictionItem& item) {
  sketch_.Count(item.hash);
  Climb(true);
  if (item.queue != kProbation) {
    ListOf(item).MoveToFront(item);
    return;
  }
  probation_.Remove(item);
  item.queue = kProtected;
  protected_.PushFront(item);
  DemoteProtected();
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

}  // namespace lab::eviction
