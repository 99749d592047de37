#include "services/ratelimit/token_bucket.h"

#include <algorithm>
#include <cmath>

namespace lab::ratelimit {

namespace {

double Rate(const Limit& limit) { return static_cast<double>(limit.requests) / static_cast<double>(limit.window_us); }

}  // namespace

bool TokenBucket::Advance(UnixMicros now, const Limit& limit) {
  const double burst = limit.burst;
  const bool stepped_back = last > now + limit.fill_us;
  if (last == 0) {
    tokens = burst;
  } else {
    const double elapsed = now > last ? static_cast<double>(now - last) : 0;
    tokens = std::min(burst, tokens + elapsed * Rate(limit));
  }
  last = now;
  return stepped_back;
}

uint64_t TokenBucket::Available(UnixMicros, const Limit&) const { return static_cast<uint64_t>(tokens); }

// Exact: an integer taken from a double that is not smaller.
void TokenBucket::Take(UnixMicros, const Limit&, uint64_t hits) { tokens -= static_cast<double>(hits); }

int64_t TokenBucket::ResetAfter(UnixMicros, const Limit& limit) const {
  return static_cast<int64_t>(std::ceil((limit.burst - tokens) / Rate(limit)));
}

int64_t TokenBucket::RetryAfter(UnixMicros, const Limit& limit, uint64_t hits) const {
  if (hits > limit.burst) return kNever;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil((static_cast<double>(hits) - tokens) / Rate(limit))));
}

}  // namespace lab::ratelimit
