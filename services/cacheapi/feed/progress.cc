#include "services/cacheapi/feed/progress.h"

#include <algorithm>
#include <utility>

namespace lab::cacheapi {

Progress::Progress(pg::Lsn confirmed) : confirmed_(confirmed) { entries_.push_back({confirmed, false}); }

bool Progress::Compare(std::optional<pg::Lsn> in_l2) {
  kept_ = in_l2.value_or(0);
  if (!in_l2 || *in_l2 < confirmed_) return false;
  Settle();
  return true;
}

uint64_t Progress::Begin(pg::Lsn end) {
  entries_.push_back({end, false});
  return first_ + entries_.size() - 1;
}

void Progress::Told(uint64_t number) {
  entries_[number - first_].told = true;
  while (!entries_.empty() && entries_.front().told) {
    told_ = std::max(told_, entries_.front().end);
    entries_.pop_front();
    ++first_;
  }
}

// Nothing lies between it and the transaction before it, so it goes with that one: idle places take no memory.
void Progress::Idle(pg::Lsn end) {
  pg::Lsn& last = entries_.empty() ? told_ : entries_.back().end;
  last = std::max(last, end);
}

std::optional<pg::Lsn> Progress::NextToKeep() {
  if (!settled() || keeping_ || told_ <= kept_) return std::nullopt;
  keeping_ = told_;
  return keeping_;
}

pg::Lsn Progress::Kept() {
  kept_ = *std::exchange(keeping_, std::nullopt);
  return kept_;
}

}  // namespace lab::cacheapi
