#include "services/ratelimit/lease_table.h"

#include <algorithm>
#include <utility>

namespace lab::ratelimit {

namespace {

constexpr size_t kLooks = 4;  // for each new key: those that are over go faster than new ones come

}  // namespace

Pending* LeasedKey::TakeWaiting() {
  waiting_hits = 0;
  last = nullptr;
  return std::exchange(first, nullptr);
}

void LeaseTable::Sweep(Clock::time_point now) {
  const size_t looks = std::min(kLooks, keys_.size());
  for (size_t look = 0; look < looks; ++look) {
    LeasedKey& leased = keys_[hand_];
    hand_ = (hand_ + 1) % keys_.size();
    if (leased.key.empty() || leased.asking || now < leased.lease.ends()) continue;
    index_.erase(leased.key);
    leased = LeasedKey{};
    free_.push_back(&leased);
  }
}

LeasedKey* LeaseTable::FindOrAdd(std::string_view key, Clock::time_point now) {
  const auto found = index_.find(key);
  if (found != index_.end()) return found->second;
  Sweep(now);
  if (index_.size() >= max_keys_) return nullptr;
  if (free_.empty()) free_.push_back(&keys_.emplace_back());
  LeasedKey* leased = free_.back();
  free_.pop_back();
  leased->key.assign(key);
  index_.emplace(leased->key, leased);
  return leased;
}

}  // namespace lab::ratelimit
