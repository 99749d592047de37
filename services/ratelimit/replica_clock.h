#pragma once

#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/store.h"

namespace lab::ratelimit {

// A store asked with this replica's clock instead of its own, as envoyproxy/ratelimit does; and that clock may be wrong
// by `offset_us`, for teaching. Each key has one state, so the fastest clock among the replicas moves its window on and
// the others count along: skew shifts the edge, and opens no second window. (With one counter a window, each in a key
// of its own, it would.) States then live ten minutes longer than they are worth.
class ReplicaClock final : public Store {
 public:
  ReplicaClock(Store& store, int64_t offset_us) : store_(store), offset_us_(offset_us) {}
  void Run(Batch& batch, Done done) override {
    if (batch.now == 0) batch.now = MemoryStore::SystemMicros() + offset_us_;
    store_.Run(batch, std::move(done));
  }

 private:
  Store& store_;
  const int64_t offset_us_;
};

}  // namespace lab::ratelimit
