#include "services/ratelimit/sliding_log.h"

#include <algorithm>

namespace lab::ratelimit {

uint64_t SlidingLog::Available(UnixMicros, const Limit& limit) const {
  return static_cast<uint64_t>(std::max<int64_t>(0, int64_t{limit.requests} - count));
}

void SlidingLog::Take(UnixMicros now, const Limit&, uint64_t hits) {
  count += static_cast<int64_t>(hits);
  newest = std::max(newest, now);
}

int64_t SlidingLog::ResetAfter(UnixMicros now, const Limit& limit) const {
  return count == 0 ? 0 : newest + limit.window_us - now;
}

int64_t SlidingLog::RetryAfter(UnixMicros now, const Limit& limit, uint64_t hits) const {
  return hits > limit.requests ? kNever : std::max<int64_t>(1, blocking + limit.window_us - now);
}

void LogEntries::Trim(UnixMicros now, const Limit& limit) {
  if (newest() > now + limit.window_us) {
    times_.clear();
    head_ = 0;
    return;
  }
  const UnixMicros expired = std::max(now, newest()) - limit.window_us;
  const auto first = std::upper_bound(times_.begin() + static_cast<ptrdiff_t>(head_), times_.end(), expired);
  head_ = static_cast<size_t>(first - times_.begin());
  if (head_ > times_.size() / 2) {  // moving less than was dropped: constant cost an entry
    times_.erase(times_.begin(), first);
    head_ = 0;
  }
}

SlidingLog LogEntries::Summary(UnixMicros now, const Limit& limit, uint64_t hits) const {
  SlidingLog summary{static_cast<int64_t>(size()), newest(), 0};
  const uint64_t step = std::max<uint64_t>(1, hits);
  if (step > limit.requests) return summary;
  // The requests before the first denied one take what fits; then the excess over the limit must leave at the head.
  const uint64_t taken = summary.Available(now, limit) / step * step;
  const uint64_t excess = size() + taken + step - limit.requests;
  summary.blocking = excess <= size() ? times_[head_ + excess - 1] : std::max(now, newest());
  return summary;
}

void LogEntries::Push(UnixMicros now, uint64_t hits) { times_.insert(times_.end(), hits, std::max(now, newest())); }

}  // namespace lab::ratelimit
