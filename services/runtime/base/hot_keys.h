#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lab {

// The most asked keys, in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi, "Efficient computation of
// frequent and top-k elements in data streams", 2005) over a sample. With n counters a key that has more than 1/n of
// the sample is always in the list, and no count is too high by more than its `error`. A key not in the list takes the
// place of the smallest. One thread; Add looks at every counter, so keep them to a hundred or so.
class HotKeys {
 public:
  struct Item {
    std::string key;
    uint64_t hits = 0;   // of the sample, an upper bound
    uint64_t error = 0;  // by which it may be too high: hits - error are certain
  };

  explicit HotKeys(size_t size) : size_(size) {}
  void Add(std::string_view key);
  // Halves every count: called once a period, it makes that period the half-life of what is remembered. Bounds stay
  // bounds of the halved counts (hits round up, what is certain rounds down).
  void Halve();
  std::vector<Item> Top() const;  // largest first
  uint64_t total() const { return total_; }

 private:
  struct Counter {
    size_t hash = 0;
    Item item;
  };
  size_t size_;
  std::vector<Counter> counters_;
  uint64_t total_ = 0;
};

}  // namespace lab
