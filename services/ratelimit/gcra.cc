#include "services/ratelimit/gcra.h"

#include <algorithm>

namespace lab::ratelimit {

namespace {

constexpr UnixMicros kEpoch = 1'735'689'600 * kSecondUs;  // 2025-01-01T00:00:00Z

int64_t Ticks(UnixMicros now) { return (now - kEpoch) * kTicksPerMicro; }
int64_t MicrosUp(int64_t ticks) { return (ticks + kTicksPerMicro - 1) / kTicksPerMicro; }
int64_t Span(const Limit& limit) { return limit.interval_ticks * limit.burst; }

}  // namespace

bool Gcra::Advance(UnixMicros now, const Limit& limit) {
  const int64_t ticks = Ticks(now);
  const bool stepped_back = tat > ticks + Span(limit);
  tat = std::min(std::max(tat, ticks), ticks + Span(limit));
  return stepped_back;
}

uint64_t Gcra::Available(UnixMicros now, const Limit& limit) const {
  return static_cast<uint64_t>((Span(limit) - (tat - Ticks(now))) / limit.interval_ticks);
}

void Gcra::Take(UnixMicros, const Limit& limit, uint64_t hits) {
  tat += static_cast<int64_t>(hits) * limit.interval_ticks;
}

int64_t Gcra::ResetAfter(UnixMicros now, const Limit&) const { return MicrosUp(tat - Ticks(now)); }

int64_t Gcra::RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const {
  if (hits > limit.burst) return kNever;
  const int64_t due = tat + static_cast<int64_t>(hits) * limit.interval_ticks - Span(limit);
  return std::max<int64_t>(1, MicrosUp(due - Ticks(now)));
}

}  // namespace lab::ratelimit
