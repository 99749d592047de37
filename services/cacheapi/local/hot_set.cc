#include "services/cacheapi/local/hot_set.h"

#include <algorithm>
#include <utility>

namespace lab::cacheapi {

namespace {

constexpr int kMostHalvings = 64;  // then nothing is left of what was counted

}  // namespace

void HotSet::Observe(std::string_view key, uint64_t random, Clock::time_point now) {
  if (random % options_.sample != 0) return;
  if (next_ == Clock::time_point{}) next_ = now + options_.period;
  if (now >= next_) {
    Review();
    const auto periods = (now - next_) / options_.period + 1;
    for (int64_t i = 0; i < std::min<int64_t>(periods, kMostHalvings); ++i) sketch_.Halve();
    if (periods > 1) Review();  // quiet for a while
    next_ += periods * options_.period;
  }
  sketch_.Add(key);
}

void HotSet::Review() {
  StringMap<bool> hot;
  const auto total = static_cast<double>(sketch_.total());
  if (sketch_.total() >= options_.least_hits) {
    for (const HotKeys::Item& item : sketch_.Top()) {
      const double wanted = hot_.contains(item.key) ? options_.leave : options_.enter;
      if (static_cast<double>(item.hits - item.error) >= wanted * total) hot.emplace(item.key, true);
    }
  }
  hot_ = std::move(hot);
}

std::vector<std::string> HotSet::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, is] : hot_) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace lab::cacheapi
