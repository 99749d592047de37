#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "services/ratelimit/lease.h"
#include "services/ratelimit/pending.h"
#include "services/runtime/base/string_map.h"

namespace lab::ratelimit {

// A key that this replica has leased, and the requests that wait for the store's answer about it. There is one question
// a key at a time; who comes meanwhile waits for the next.
struct LeasedKey {
  std::string key;  // empty: free
  Lease lease;
  uint64_t rules = 0;   // the number of the rules that it was leased under
  bool asking = false;  // a question is gathering or on its way
  Pending* first = nullptr;
  Pending* last = nullptr;
  uint64_t waiting_hits = 0;

  // Those that wait, by Pending::next_; none waits any more.
  Pending* TakeWaiting();
};

// The leased keys of one replica, at most max_keys. Keys whose window is over make room, a few looked at for each new
// one; while none does, a new key has no place, and its requests ask the store one by one. Places are stable.
class LeaseTable {
 public:
  explicit LeaseTable(size_t max_keys) : max_keys_(max_keys) {}
  // Null when there is no place for it.
  LeasedKey* FindOrAdd(std::string_view key, Clock::time_point now);
  size_t size() const { return index_.size(); }

 private:
  void Sweep(Clock::time_point now);

  const size_t max_keys_;
  std::deque<LeasedKey> keys_;
  std::vector<LeasedKey*> free_;
  StringMap<LeasedKey*, std::string_view> index_;  // views of their keys
  size_t hand_ = 0;
};

}  // namespace lab::ratelimit
