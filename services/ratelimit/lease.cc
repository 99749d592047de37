#include "services/ratelimit/lease.h"

#include <algorithm>
#include <limits>

namespace lab::ratelimit {

Lease::Verdict Lease::Decide(uint64_t hits, Clock::time_point now) {
  if (now >= asks_) return Verdict::kAsk;
  if (held_ >= std::max<uint64_t>(1, hits)) {
    held_ -= hits;
    return Verdict::kPass;
  }
  return left_ == 0 ? Verdict::kDeny : Verdict::kAsk;
}

uint32_t Lease::Missing(const LeaseTerms& terms, uint64_t waiting, Clock::time_point now) const {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  const uint64_t leases = std::max<uint64_t>(1, (waiting + terms.hits - 1) / terms.hits);
  const uint64_t wanted = leases * terms.hits;
  return static_cast<uint32_t>(std::min(kMost, wanted - std::min(wanted, held(now))));
}

void Lease::Granted(const Limit& limit, const LeaseTerms& terms, FixedWindow before, UnixMicros store_now,
                    uint32_t asked, Clock::time_point sent) {
  FixedWindow state = before;
  state.Advance(store_now, limit);
  const uint64_t room = state.Available(store_now, limit);
  const uint64_t granted = std::min<uint64_t>(asked, room);
  const bool same_window = state.window == window_ && sent < ends_;
  held_ = (same_window ? held_ : 0) + granted;
  left_ = room - granted;
  window_ = state.window;
  ends_ = sent + Micros(state.ResetAfter(store_now, limit));
  asks_ = terms.ttl > Nanos(0) ? std::min(ends_, sent + terms.ttl) : ends_;
}

TermResult Lease::Describe(const Limit& limit, uint64_t hits, bool passed, Clock::time_point now) const {
  constexpr uint64_t kMost = std::numeric_limits<uint32_t>::max();
  TermResult result;
  result.passed = passed;
  result.remaining = static_cast<uint32_t>(std::min(kMost, held_ + left_));
  result.reset_after_us = std::max<int64_t>(0, std::chrono::duration_cast<Micros>(ends_ - now).count());
  result.retry_after_us = passed ? 0 : hits > limit.requests ? kNever : result.reset_after_us;
  return result;
}

}  // namespace lab::ratelimit
