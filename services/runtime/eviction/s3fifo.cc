#include "services/runtime/eviction/s3fifo.h"

#include <algorithm>

namespace lab::eviction {

namespace {

enum Queue : uint8_t { kSmall, kMain };
constexpr uint8_t kMostUses = 3;
constexpr uint8_t kUsesToStay = 2;  // "t.freq > 1"

}  // namespace

void GhostQueue::Unlink(uint32_t at) {
  Ghost& ghost = ghosts_[at];
  (ghost.newer != kNone ? ghosts_[ghost.newer].older : newest_) = ghost.older;
  (ghost.older != kNone ? ghosts_[ghost.older].newer : oldest_) = ghost.newer;
  weight_ -= ghost.weight;
  index_.erase(ghost.hash);
  ghost.older = free_;
  free_ = at;
}

bool GhostQueue::Take(uint64_t hash) {
  const auto found = index_.find(hash);
  if (found == index_.end()) return false;
  Unlink(found->second);
  return true;
}

void GhostQueue::Add(uint64_t hash, size_t weight) {
  Take(hash);
  if (weight > capacity_) return;
  while (weight_ + weight > capacity_) Unlink(oldest_);
  if (free_ == kNone) {
    free_ = static_cast<uint32_t>(ghosts_.size());
    ghosts_.emplace_back();
  }
  const uint32_t at = free_;
  free_ = ghosts_[at].older;
  ghosts_[at] = {hash, weight, kNone, newest_};
  (newest_ != kNone ? ghosts_[newest_].newer : oldest_) = at;
  newest_ = at;
  weight_ += weight;
  index_.emplace(hash, at);
}

S3Fifo::S3Fifo(size_t capacity)
    : small_capacity_(std::max<size_t>(1, capacity / 10)), ghosts_(capacity - std::min(capacity, small_capacity_)) {}

EvictionList& S3Fifo::ListOf(const EvictionItem& item) { return item.queue == kMain ? main_ : small_; }

void S3Fifo::Add(EvictionItem& item) {
  item.uses = 0;
  item.queue = ghosts_.Take(item.hash) ? kMain : kSmall;
  ListOf(item).PushFront(item);
}

void S3Fifo::Use(EvictionItem& item) { item.uses = std::min<uint8_t>(kMostUses, item.uses + 1); }
void S3Fifo::Remove(EvictionItem& item) { ListOf(item).Remove(item); }
void S3Fifo::Reweigh(EvictionItem& item, size_t before) { ListOf(item).Reweigh(item, before); }

// Null when the small queue is within its share, or what was looked at had earned its place in the main one. (The paper
// evicts before it inserts and so asks for >=; here the new one is in the queue already.)
EvictionItem* S3Fifo::EvictFromSmall() {
  while (!small_.empty() && (small_.weight() > small_capacity_ || main_.empty())) {
    EvictionItem& oldest = *small_.back();
    small_.Remove(oldest);
    if (oldest.uses < kUsesToStay) {
      ghosts_.Add(oldest.hash, oldest.weight);
      return &oldest;
    }
    oldest.uses = 0;
    oldest.queue = kMain;
    main_.PushFront(oldest);
  }
  return nullptr;
}

// Ends after three rounds: each takes one use from all.
EvictionItem* S3Fifo::EvictFromMain() {
  while (!main_.empty()) {
    EvictionItem& oldest = *main_.back();
    if (oldest.uses == 0) {
      main_.Remove(oldest);
      return &oldest;
    }
    --oldest.uses;
    main_.MoveToFront(oldest);
  }
  return nullptr;
}

EvictionItem& S3Fifo::Evict() {
  if (EvictionItem* victim = EvictFromSmall(); victim != nullptr) return *victim;
  return *EvictFromMain();
}

}  // namespace lab::eviction
