#pragma once

#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// GCRA, the generic cell rate algorithm in its virtual-scheduling form (ITU-T I.371, annex A; ATM Forum TM 4.0): the
// state is one number, the theoretical arrival time of the next request. A request passes when that time, moved on by
// an emission interval, is at most burst × interval ahead of now. Admits exactly what a token bucket of the same burst
// admits, except that the interval is rounded up to a whole tick. Functions as in fixed_window.h.
//
// Integers only: ticks of 1/16 us since 2025-01-01, below 2^53 until 2042, so the doubles of Lua are exact as well.
struct Gcra {
  int64_t tat;  // ticks; 0: never seen

  // A clock that stepped back finds at worst an empty bucket, never a longer wait than burst × interval.
  bool Advance(UnixMicros now, const Limit& limit);
  uint64_t Available(UnixMicros now, const Limit& limit) const;
  void Take(UnixMicros now, const Limit& limit, uint64_t hits);
  int64_t ResetAfter(UnixMicros now, const Limit& limit) const;
  int64_t RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const;
};

}  // namespace lab::ratelimit
