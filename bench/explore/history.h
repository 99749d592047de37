#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/cacheapi/stored_entry.h"
#include "bench/explore/schedule.h"

namespace lab::bench::explore {

// What lies in the shared cache (L2) under the key that the actors read.
using cacheapi::Stored;

inline constexpr uint64_t kAllTold = ~uint64_t{0};

// A move, and how things stood right after it.
struct Seen {
  Move move;
  Stored stored;
  bool leased = false;     // somebody may fill
  uint64_t committed = 1;  // version in the database
  // Up to which version L2 has been told by who tells it beside the writers (outbox, log, queue); without one all.
  uint64_t told = kAllTold;
  std::vector<int> untold_replicas;  // to which something that Redis has told of is still on its way
};

// What became of one actor. Indexes are those of moves.
struct Ended {
  std::string actor;
  bool writes = false;
  int replica = 0;
  int asked = -1;     // its first move; what lies before has no effect that others could see
  int answered = -1;  // the move that brought its answer; -1: none, it died
  bool ok = false;
  uint64_t version = 0;  // that it was given, or has written; also of a write that was acknowledged before its commit
  std::string how;       // "hit", "miss", "coalesced", … of a reader; what went wrong of one that is not ok
  bool applied = false;  // of a writer: the database knows its request
  int looked = -1;       // of a reader: the move with which it read L2 last, or joined a load, or hit L1
};

// How it looks once nobody moves any more: what would be served until the next write.
struct AtRest {
  uint64_t version = 0;    // in the database: the truth
  int64_t correction = 0;  // and what belongs to it
  Stored stored;
  struct Served {
    uint64_t version = 0;
    int64_t correction = 0;
    bool local = false;  // from the cache of that process
  };
  std::vector<Served> served;  // by replica
};

// One schedule as it was carried out.
struct History {
  std::vector<Seen> moves;
  std::vector<Ended> ended;
  AtRest rest;
  Schedule schedule() const {
    Schedule all;
    for (const Seen& seen : moves) all.push_back(seen.move);
    return all;
  }
};

}  // namespace lab::bench::explore
