#pragma once

#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// Whether to recompute a value now although it has not expired: XFetch (Vattani, Chierichetti, Lowenstein, "Optimal
// Probabilistic Cache Stampede Prevention", VLDB 2015): when now - delta * beta * ln(uniform) >= expiry. `delta` is
// what computing takes, `uniform` the caller's draw from [0, 1) for this read; `beta` 1 is the paper's best, more is
// earlier, 0 (or less, or no delta) waits for the expiry. From the expiry on always.
//
// With Poisson reads of rate r that draw independently, e^(1/beta) recomputations are begun per expiry, whatever r is as
// long as r * beta * delta is well above 1 (without it: r * delta); the first one mean delta * beta * (ln(r * beta * delta) + 0.577) before the expiry. One per
// expiry needs a lease or a single flight as well.
bool RecomputeEarly(Clock::time_point now, Clock::time_point expiry, Nanos delta, double beta, double uniform);

}  // namespace lab::cacheapi
