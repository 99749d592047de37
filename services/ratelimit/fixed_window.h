#pragma once

#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// Fixed window: one count for each window of the clock, aligned to the Unix epoch, as envoyproxy/ratelimit counts.
// Worst case: 2 × limit within one window length, half on each side of an edge. State: two numbers.
//
// Every algorithm here is a plain value with the same five functions: `Advance` brings what was stored to `now`, and
// the others are asked after it. No clock, no I/O, no lock. All-zero is the state of a key never seen.
struct FixedWindow {
  int64_t window;  // index since the epoch
  int64_t count;

  // A clock that stepped back into the window before stays in the one it had counted in; one that stepped further takes
  // the count along. So a step back opens no fresh window, and locks nobody out for longer than a window. True when the
  // state must be kept even without a charge: the clock has stepped back that far.
  bool Advance(UnixMicros now, const Limit& limit);
  uint64_t Available(UnixMicros now, const Limit& limit) const;  // hits that would pass now
  void Take(UnixMicros now, const Limit& limit, uint64_t hits);
  int64_t ResetAfter(UnixMicros now, const Limit& limit) const;  // us until the full limit is back
  // us until `hits`, denied now, could pass if nobody else asked; kNever when they are more than the limit.
  int64_t RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const;
};

}  // namespace lab::ratelimit
