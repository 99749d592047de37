#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "services/ratelimit/store.h"

namespace lab::ratelimit {

// The counts of one process, bounded: what `store: memory` decides with, and what `on_store_failure: local` falls back
// to. Run calls `done` inside.
//
// At `max_keys` a key is evicted by the clock algorithm (second chance), sooner when its state is worth nothing. An
// evicted key starts afresh, so an eviction costs at most one more limit or burst for that key. A log weighs one key a
// 32 entries, so that logs cannot outgrow the bound.
class MemoryStore final : public Store {
 public:
  using TimeSource = std::function<UnixMicros()>;

  explicit MemoryStore(size_t max_keys, TimeSource clock = SystemMicros);
  ~MemoryStore() override;

  void Run(Batch& batch, Done done) override;
  size_t keys() const;
  uint64_t evictions() const;  // of keys that were still worth something

  static UnixMicros SystemMicros();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::ratelimit
