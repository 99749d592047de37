#include "services/runtime/eviction/eviction.h"

#include "services/runtime/eviction/lru.h"
#include "services/runtime/eviction/s3fifo.h"
#include "services/runtime/eviction/tinylfu.h"

namespace lab::eviction {

void EvictionList::PushFront(EvictionItem& item) {
  item.previous = nullptr;
  item.next = first_;
  (first_ != nullptr ? first_->previous : last_) = &item;
  first_ = &item;
  weight_ += item.weight;
}

void EvictionList::Remove(EvictionItem& item) {
  (item.previous != nullptr ? item.previous->next : first_) = item.next;
  (item.next != nullptr ? item.next->previous : last_) = item.previous;
  item.previous = item.next = nullptr;
  weight_ -= item.weight;
}

void EvictionList::MoveToFront(EvictionItem& item) {
  if (first_ == &item) return;
  Remove(item);
  PushFront(item);
}

std::string_view Name(EvictionKind kind) {
  switch (kind) {
    case EvictionKind::kLru:
      return "lru";
    case EvictionKind::kS3Fifo:
      return "s3fifo";
    case EvictionKind::kTinyLfu:
      return "tinylfu";
  }
  return "";
}

std::optional<EvictionKind> EvictionKindOf(std::string_view name) {
  for (const EvictionKind kind : kEvictionKinds) {
    if (Name(kind) == name) return kind;
  }
  return std::nullopt;
}

std::unique_ptr<Eviction> MakeEviction(EvictionKind kind, size_t capacity) {
  switch (kind) {
    case EvictionKind::kLru:
      return std::make_unique<Lru>();
    case EvictionKind::kS3Fifo:
      return std::make_unique<S3Fifo>(capacity);
    case EvictionKind::kTinyLfu:
      return std::make_unique<TinyLfu>(capacity);
  }
  return nullptr;
}

}  // namespace lab::eviction
