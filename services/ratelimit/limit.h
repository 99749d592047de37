#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "absl/status/statusor.h"

namespace lab::ratelimit {

// Microseconds since the Unix epoch. Below 2^53, so that the doubles of Lua hold it exactly.
using UnixMicros = int64_t;

inline constexpr int64_t kSecondUs = 1'000'000;
inline constexpr int64_t kDayUs = 86'400 * kSecondUs;
inline constexpr int64_t kMaxWindow = 365 * kDayUs;
// Hits beyond this are counted as this many: more than any limit, so denied, and small enough that no sum overflows.
inline constexpr uint64_t kMaxHits = uint64_t{1} << 33;
// "It will never pass": more hits than the limit can ever hold.
inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

enum class Algorithm : uint8_t { kFixedWindow = 1, kSlidingLog, kSlidingCounter, kTokenBucket, kGcra };

// "fixed_window", …: the names of the rules file.
std::string_view Name(Algorithm algorithm);
// The letter that stands for it in keys: f, l, c, t, g.
char Letter(Algorithm algorithm);

// `requests` a `window`, decided by `algorithm`. Made by MakeLimit, which derives the rest.
struct Limit {
  Algorithm algorithm = Algorithm::kFixedWindow;
  // Of a broken variant, for teaching: a sliding counter that also counts what it rejected.
  bool count_rejected = false;
  uint32_t requests = 0;  // 0 denies everything
  uint32_t burst = 0;     // token bucket and GCRA: what may pass at once after a pause
  int64_t window_us = 0;
  // GCRA: the emission interval in ticks of 1/16 us, rounded up to a whole tick: never faster than the rate, and at
  // most 6 % slower (at 1,000,000/s; 0.1 % below 16,000/s).
  int64_t interval_ticks = 0;
  // Token bucket and GCRA: from empty to full, in us and in ticks.
  int64_t fill_us = 0;

  friend bool operator==(const Limit&, const Limit&) = default;
};

inline constexpr int64_t kTicksPerMicro = 16;
inline constexpr uint32_t kMaxLogRequests = 100'000;

// `burst` 0 means `requests`. What cannot be held exactly is an error in plain words: a window outside 1 ms … 365 d, a
// sliding log of more than 100,000, a GCRA rate above 1,000,000/s, a burst that takes more than two years to refill.
absl::StatusOr<Limit> MakeLimit(Algorithm algorithm, uint32_t requests, int64_t window_us, uint32_t burst = 0);

// A replica's part of a limit: requests and burst divided by `replicas`, rounded down, but at least 1 (0 stays 0).
Limit Share(const Limit& limit, int replicas);

}  // namespace lab::ratelimit
