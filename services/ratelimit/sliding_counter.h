#pragma once

#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// Sliding-window counter: the count of this window plus the share of the last one that a sliding window still overlaps
// (Cloudflare, "How we built rate limiting capable of scaling to millions of domains", 2017). It counts what it
// admitted; counting the rejected too starves a client that keeps asking. Worst case → 2 × limit within one window
// length, because it takes the last window as evenly filled. State: three numbers. Functions as in fixed_window.h.
struct SlidingCounter {
  int64_t window;  // index since the epoch
  int64_t current;
  int64_t previous;

  bool Advance(UnixMicros now, const Limit& limit);
  uint64_t Available(UnixMicros now, const Limit& limit) const;
  void Take(UnixMicros now, const Limit& limit, uint64_t hits);
  int64_t ResetAfter(UnixMicros now, const Limit& limit) const;
  int64_t RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const;
};

}  // namespace lab::ratelimit
