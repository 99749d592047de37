#pragma once

#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// Token bucket: a request takes a token; tokens flow in at requests / window, up to `burst` (Turner, "New directions in
// communications", 1986, as a leaky bucket of credits; RFC 2697 meters packets so). Worst case in a time t:
// burst + rate × t. State: two numbers. Functions as in fixed_window.h.
//
// Doubles, in the same expressions as decide.lua, so that both stores give the same bits.
struct TokenBucket {
  double tokens;
  int64_t last;  // when `tokens` was right; 0: never seen, so full

  bool Advance(UnixMicros now, const Limit& limit);  // a clock that stepped back refills nothing
  uint64_t Available(UnixMicros now, const Limit& limit) const;
  void Take(UnixMicros now, const Limit& limit, uint64_t hits);
  int64_t ResetAfter(UnixMicros now, const Limit& limit) const;
  int64_t RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const;
};

}  // namespace lab::ratelimit
