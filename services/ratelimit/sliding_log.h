#pragma once

#include <cstddef>
#include <vector>

#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// Sliding log: the time of every admitted hit of the last window; exact, worst case 1 × limit within any window length.
// State: one number a hit, which is why a rule may ask for at most 100,000. (The textbook algorithm; a Redis list here,
// as in Figma's "An alternative approach to rate limiting", 2017, before its compromise.)
//
// What a decision needs of the log is three numbers, so that a store need not send the log. Functions as in
// fixed_window.h.
struct SlidingLog {
  int64_t count;     // entries that have not expired
  int64_t newest;    // time of the last one; 0: none
  int64_t blocking;  // the entry that must expire before the first denied request of a group can pass; 0: not asked

  bool Advance(UnixMicros, const Limit&) { return false; }  // LogEntries::Trim and decide.lua have done it
  uint64_t Available(UnixMicros now, const Limit& limit) const;
  void Take(UnixMicros now, const Limit& limit, uint64_t hits);
  int64_t ResetAfter(UnixMicros now, const Limit& limit) const;
  int64_t RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const;
};

// The log itself, in memory.
class LogEntries {
 public:
  // Drops what has expired at `now`. A clock that stepped back by at most a window is held at the newest entry; after a
  // longer step the log is dropped: one more limit, instead of a client locked out for as long as the step.
  void Trim(UnixMicros now, const Limit& limit);
  // What decides a group of requests of `hits` each. After Trim.
  SlidingLog Summary(UnixMicros now, const Limit& limit, uint64_t hits) const;
  void Push(UnixMicros now, uint64_t hits);
  size_t size() const { return times_.size() - head_; }
  UnixMicros newest() const { return times_.empty() ? 0 : times_.back(); }
  size_t bytes() const { return times_.capacity() * sizeof(UnixMicros); }

 private:
  std::vector<UnixMicros> times_;  // ascending; those before head_ have expired
  size_t head_ = 0;
};

}  // namespace lab::ratelimit
