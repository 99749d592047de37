#pragma once

#include <cstdint>
#include <string>

#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// What a cache of this process holds under a key, and what a fill brings. Times are of this process' steady clock.
struct Value {
  std::string body;
  uint64_t version = 0;             // of the row that the body was computed from; 0: nothing is known of it
  Clock::time_point written_at{};   // when it was computed, for its age; on the clock of the server that keeps it
  Clock::time_point fresh_until{};  // from then on it is stale: still served where the mode allows it, and refreshed
  Clock::time_point expiry{};       // from then on it is gone
  Nanos delta{0};                   // what it took to compute, for XFetch
  bool negative = false;            // "there is none", with an empty body
};

}  // namespace lab::cacheapi
