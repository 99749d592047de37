#include "services/ratelimit/fixed_window.h"

#include <algorithm>

namespace lab::ratelimit {

bool FixedWindow::Advance(UnixMicros now, const Limit& limit) {
  const int64_t index = now / limit.window_us;
  if (window == index || window == index + 1) return false;
  const bool stepped_back = window > index;
  if (!stepped_back) count = 0;
  window = index;
  return stepped_back;
}

uint64_t FixedWindow::Available(UnixMicros, const Limit& limit) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, int64_t{limit.requests} - count));
}

void FixedWindow::Take(UnixMicros, const Limit&, uint64_t hits) { count += static_cast<int64_t>(hits); }

int64_t FixedWindow::ResetAfter(UnixMicros now, const Limit& limit) const {
  return (window + 1) * limit.window_us - now;
}

int64_t FixedWindow::RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const {
  return hits > limit.requests ? kNever : ResetAfter(now, limit);
}

}  // namespace lab::ratelimit
