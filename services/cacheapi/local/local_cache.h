#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "services/cacheapi/local/fences.h"
#include "services/cacheapi/model/value.h"
#include "services/cacheapi/model/version.h"
#include "services/runtime/eviction/eviction.h"

namespace lab::cacheapi {

// What a fill must show to store: taken before the first read that the value will rest on, be it Redis or PostgreSQL.
struct FillToken {
  std::string key;
  uint64_t hash = 0;
  uint64_t generation = 0;
};

// The cache within the process (L1), bounded by bytes: keys, bodies and kEntryOverhead an entry. Which entry leaves a
// full cache the eviction policy says. Single thread, no clock: callers pass `now`, which never goes back.
//
// What it guarantees, whatever the order and delay of fills, invalidations, evictions and refreshes:
// - After Invalidate(key) no fill that began before it is stored: not a miss (a plain race of fill and delete), not a
//   refresh, not one that read an old L2, not a "there is none" across an INSERT.
// - What is there is never replaced by an older version.
// What it cannot know: writes that nobody tells it of. `expiry` bounds those.
class LocalCache {
 public:
  struct Options {
    size_t bytes = 64 << 20;
    eviction::EvictionKind eviction = eviction::EvictionKind::kTinyLfu;
    size_t generations = 1 << 16;
    bool fenced = true;  // false is broken on purpose: the token is not asked for
  };
  explicit LocalCache(const Options& options);

  // What is there and has not expired, or null. Valid until the next call that is not Get. One look-up.
  const Value* Get(std::string_view key, Clock::time_point now);

  FillToken Begin(std::string_view key) const;
  enum class Stored : uint8_t {
    kStored,
    kFenced,       // invalidated since Begin
    kOlder,        // a newer version is there
    kExpired,      // it is over already
    kTooLarge,     // larger than the whole cache
    kNotAdmitted,  // the policy would rather keep what is there
  };
  Stored Store(const FillToken& token, Value value, Clock::time_point now);

  // A write of `version` has been committed: fences all fills in flight, and drops what is there unless it is newer
  // (a late or repeated invalidation drops nothing that came after it). An entry of the very same version goes too:
  // whoever invalidates knows better than a version that says nothing has changed. True when an entry was dropped.
  // kVersionUnknown drops whatever is there.
  bool Invalidate(std::string_view key, uint64_t version = kVersionUnknown);
  // Forgets everything and fences every fill: for when invalidations may have been lost.
  void Clear();

  size_t bytes() const { return eviction_->weight(); }
  size_t entries() const { return index_.size(); }
  uint64_t evictions() const { return evictions_; }  // for want of room; expired ones are not told apart

  static size_t Bytes(std::string_view key, std::string_view body);

 private:
  struct Entry : eviction::EvictionItem {
    std::string key;
    Value value;
  };
  struct Probe {
    std::string_view key;
    uint64_t hash;
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(const Probe& probe) const { return probe.hash; }
    size_t operator()(const Entry* entry) const { return entry->hash; }
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const Entry* a, const Entry* b) const { return a == b; }
    bool operator()(const Entry* entry, const Probe& probe) const {
      return entry->hash == probe.hash && entry->key == probe.key;
    }
    bool operator()(const Probe& probe, const Entry* entry) const { return (*this)(entry, probe); }
  };
  Entry* Find(std::string_view key, uint64_t hash) const;
  Entry& Add(const FillToken& token, size_t bytes);
  void Drop(Entry& entry);  // which the policy has forgotten
  void Remove(Entry& entry);
  // True when `kept` is still there.
  bool MakeRoom(const Entry& kept);

 public:
  // The entry, its slot in the index at three quarters of the largest load and 16 bytes each of the allocator's for key
  // and body, where they are not within the entry.
  static constexpr size_t kEntryOverhead = sizeof(Entry) + 2 * (sizeof(Entry*) + 1) + 2 * 16;

 private:
  const Options options_;
  Fences fences_;
  std::unique_ptr<eviction::Eviction> eviction_;
  std::deque<Entry> entries_;  // stable places
  std::vector<Entry*> free_;
  absl::flat_hash_set<Entry*, Hash, Equal> index_;
  uint64_t evictions_ = 0;
};

}  // namespace lab::cacheapi
