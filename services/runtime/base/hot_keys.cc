#include "services/runtime/base/hot_keys.h"

#include <algorithm>
#include <functional>

namespace lab {

void HotKeys::Add(std::string_view key) {
  ++total_;
  const size_t hash = std::hash<std::string_view>()(key);
  Counter* smallest = nullptr;
  for (Counter& counter : counters_) {
    if (counter.hash == hash && counter.item.key == key) {
      ++counter.item.hits;
      return;
    }
    if (smallest == nullptr || counter.item.hits < smallest->item.hits) smallest = &counter;
  }
  if (counters_.size() < size_) {
    counters_.push_back({hash, {std::string(key), 1, 0}});
    return;
  }
  smallest->hash = hash;
  smallest->item.key.assign(key);
  smallest->item.error = smallest->item.hits++;
}

void HotKeys::Halve() {
  total_ -= total_ / 2;
  for (Counter& counter : counters_) {
    const uint64_t certain = (counter.item.hits - counter.item.error) / 2;
    counter.item.hits -= counter.item.hits / 2;
    counter.item.error = counter.item.hits - certain;
  }
}

std::vector<HotKeys::Item> HotKeys::Top() const {
  std::vector<Item> items;
  for (const Counter& counter : counters_) items.push_back(counter.item);
  std::sort(items.begin(), items.end(), [](const Item& a, const Item& b) { return a.hits > b.hits; });
  return items;
}

}  // namespace lab
