#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace lab::eviction {

// What an eviction policy knows of an entry: the entry derives from it, so that a hit allocates nothing and needs no
// second look-up. `hash` identifies the key (64 bits, well mixed) and `weight` is set by the owner, in the unit of the
// capacity: bytes in a cache, 1 in a replayed trace. The rest belongs to the policy.
struct EvictionItem {
  uint64_t hash = 0;
  size_t weight = 1;
  EvictionItem* previous = nullptr;
  EvictionItem* next = nullptr;
  uint8_t queue = 0;
  uint8_t uses = 0;
};

// A doubly linked list through the items, with the sum of their weights.
class EvictionList {
 public:
  EvictionItem* front() const { return first_; }
  EvictionItem* back() const { return last_; }
  bool empty() const { return first_ == nullptr; }
  size_t weight() const { return weight_; }
  void PushFront(EvictionItem& item);
  void Remove(EvictionItem& item);
  void MoveToFront(EvictionItem& item);
  // The weight of an item in this list has changed from `before`.
  void Reweigh(const EvictionItem& item, size_t before) { weight_ = weight_ - before + item.weight; }

 private:
  EvictionItem* first_ = nullptr;
  EvictionItem* last_ = nullptr;
  size_t weight_ = 0;
};

// Decides what leaves a full cache. The owner keeps the items and the capacity:
//   Add a new item, then Evict while weight() > capacity; Use it on a hit; Remove it when it goes for another reason.
// An evicted item is forgotten by the policy before Evict returns it; it may be the one that was just added, which is
// how a policy refuses admission. Single thread; no clock; the same calls give the same victims.
class Eviction {
 public:
  virtual ~Eviction() = default;
  virtual void Add(EvictionItem& item) = 0;
  virtual void Use(EvictionItem& item) = 0;
  virtual void Remove(EvictionItem& item) = 0;
  // item.weight has changed from `before`.
  virtual void Reweigh(EvictionItem& item, size_t before) = 0;
  // There must be an item.
  virtual EvictionItem& Evict() = 0;
  // Of all items.
  virtual size_t weight() const = 0;
};

enum class EvictionKind : uint8_t { kLru, kS3Fifo, kTinyLfu };
inline constexpr EvictionKind kEvictionKinds[] = {EvictionKind::kLru, EvictionKind::kS3Fifo, EvictionKind::kTinyLfu};

std::string_view Name(EvictionKind kind);  // "lru", "s3fifo", "tinylfu"
std::optional<EvictionKind> EvictionKindOf(std::string_view name);
// `capacity` in the unit of the weights, at least 1.
std::unique_ptr<Eviction> MakeEviction(EvictionKind kind, size_t capacity);

}  // namespace lab::eviction
