#include "services/ratelimit/sliding_counter.h"

#include <algorithm>
#include <cmath>

namespace lab::ratelimit {

namespace {

// Of a broken limiter that counts rejected requests; far above any limit, far below 2^53.
constexpr int64_t kMaxCount = int64_t{1} << 50;

int64_t Elapsed(UnixMicros now, const SlidingCounter& state, const Limit& limit) {
  return std::max<int64_t>(0, now - state.window * limit.window_us);  // below 0: the clock stepped back
}

}  // namespace

bool SlidingCounter::Advance(UnixMicros now, const Limit& limit) {
  const int64_t index = now / limit.window_us;
  if (window == index || window == index + 1) return false;
  const bool stepped_back = window > index;
  if (!stepped_back) {
    previous = window == index - 1 ? current : 0;
    current = 0;
  }
  window = index;
  return stepped_back;
}

uint64_t SlidingCounter::Available(UnixMicros now, const Limit& limit) const {
  const double left = static_cast<double>(limit.window_us - Elapsed(now, *this, limit));
  const double weighted = std::ceil(static_cast<double>(previous) * left / static_cast<double>(limit.window_us));
  return static_cast<uint64_t>(
      std::max<int64_t>(0, int64_t{limit.requests} - current - static_cast<int64_t>(weighted)));
}

void SlidingCounter::Take(UnixMicros, const Limit&, uint64_t hits) {
  current = std::min(kMaxCount, current + static_cast<int64_t>(hits));
}

int64_t SlidingCounter::ResetAfter(UnixMicros now, const Limit& limit) const {
  if (current > 0) return (window + 2) * limit.window_us - now;
  if (previous > 0) return (window + 1) * limit.window_us - now;
  return 0;
}

int64_t SlidingCounter::RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const {
  if (hits > limit.requests) return kNever;
  const auto room = static_cast<double>(int64_t{limit.requests} - static_cast<int64_t>(hits));
  const auto width = static_cast<double>(limit.window_us);
  // Where in a window that weighs `before` and holds `held` the hits fit: before × (1 - x) + held ≤ room.
  const auto place = [&](double before, double held) { return std::ceil((1 - (room - held) / before) * width); };
  if (static_cast<double>(current) <= room && previous > 0) {
    const double at = place(static_cast<double>(previous), static_cast<double>(current));
    return std::max<int64_t>(1, window * limit.window_us + static_cast<int64_t>(at) - now);
  }
  const double at = current > 0 ? std::max(0.0, place(static_cast<double>(current), 0)) : 0.0;
  return std::max<int64_t>(1, (window + 1) * limit.window_us + static_cast<int64_t>(at) - now);
}

}  // namespace lab::ratelimit
