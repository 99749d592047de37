#pragma once

#include <cstdint>

#include "absl/types/span.h"
#include "services/ratelimit/fixed_window.h"
#include "services/ratelimit/gcra.h"
#include "services/ratelimit/limit.h"
#include "services/ratelimit/sliding_counter.h"
#include "services/ratelimit/sliding_log.h"
#include "services/ratelimit/token_bucket.h"

namespace lab::ratelimit {

// What a store keeps of one key; which member counts, the limit's algorithm says. All-zero: a key never seen.
union State {
  SlidingCounter sliding_counter{};
  FixedWindow fixed_window;
  SlidingLog sliding_log;
  TokenBucket token_bucket;
  Gcra gcra;
};

// One limit that a request must keep: so many hits on one key.
struct Term {
  const Limit* limit = nullptr;
  uint64_t hits = 1;    // 0 only looks; at most kMaxHits
  bool shadow = false;  // observed and charged, but it denies nothing
};

struct TermResult {
  bool passed = false;         // by this limit alone; a look passes when one hit would
  uint32_t remaining = 0;      // hits that still pass, after this request
  int64_t reset_after_us = 0;  // until the full limit is back
  int64_t retry_after_us = 0;  // 0 when passed; kNever when no wait helps
};

// Decides one request against all its limits: it passes when every limit that is not in shadow has room, and only then
// is any of them charged ("check all, charge all or none"). A shadow limit is charged like the others, but only when it
// has room itself. `states` (one a term) change only where charged, or where the clock has stepped back by more than a
// window. Returns whether the request passed.
//
// This function is what both stores mean: the one in memory runs it on its states, and decide.lua does the same in
// Redis and returns the states from before, from which this function tells the answers.
bool DecideRequest(absl::Span<const Term> terms, absl::Span<State> states, UnixMicros now,
                   absl::Span<TermResult> results);

// Until the state is worth nothing, that is the same as no state.
int64_t WorthlessAfter(const Limit& limit, State state, UnixMicros now);

}  // namespace lab::ratelimit
