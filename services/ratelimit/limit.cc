#include "services/ratelimit/limit.h"

#include <algorithm>
#include <array>
#include <string>

#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

constexpr std::array<std::string_view, 5> kNames = {"fixed_window", "sliding_log", "sliding_counter", "token_bucket",
                                                    "gcra"};
constexpr std::string_view kLetters = "flctg";
constexpr int64_t kMaxFill = 2 * kMaxWindow;

int64_t CeilDivide(int64_t value, int64_t divisor) { return (value + divisor - 1) / divisor; }

// The derived fields; `limit` holds the given ones.
void Derive(Limit& limit) {
  const int64_t window_ticks = limit.window_us * kTicksPerMicro;
  limit.interval_ticks = CeilDivide(window_ticks, limit.requests);
  const bool fits = limit.interval_ticks <= kMaxFill * kTicksPerMicro / limit.burst;
  limit.fill_us = fits ? CeilDivide(limit.interval_ticks * limit.burst, kTicksPerMicro) : kNever;
}

}  // namespace

std::string_view Name(Algorithm algorithm) { return kNames[static_cast<size_t>(algorithm) - 1]; }
char Letter(Algorithm algorithm) { return kLetters[static_cast<size_t>(algorithm) - 1]; }

absl::StatusOr<Limit> MakeLimit(Algorithm algorithm, uint32_t requests, int64_t window_us, uint32_t burst) {
  if (window_us < kSecondUs / 1000 || window_us > kMaxWindow) {
    return absl::InvalidArgumentError("the window must be 1ms … 365 days");
  }
  Limit limit;
  limit.window_us = window_us;
  limit.requests = requests;
  if (requests == 0) return limit;  // nothing to count: the cheapest algorithm denies it
  limit.algorithm = algorithm;
  const bool bucket = algorithm == Algorithm::kTokenBucket || algorithm == Algorithm::kGcra;
  if (!bucket) {
    if (burst != 0 && burst != requests) {
      return absl::InvalidArgumentError(
          Concat("burst belongs to token_bucket and gcra; a ", Name(algorithm), " has none: leave it out"));
    }
    if (algorithm == Algorithm::kSlidingLog && requests > kMaxLogRequests) {
      return absl::InvalidArgumentError(Concat("a sliding_log keeps one entry a request and is bounded to ",
                                               kMaxLogRequests, " (it is ", requests,
                                               "): use sliding_counter, which keeps two numbers"));
    }
    return limit;
  }
  limit.burst = burst == 0 ? requests : burst;
  Derive(limit);
  if (algorithm == Algorithm::kGcra && requests > window_us) {  // more than one a microsecond
    return absl::InvalidArgumentError(
        "gcra keeps time in 1/16 us and is exact up to 1,000,000 requests a second: use token_bucket");
  }
  if (limit.fill_us > kMaxFill) {
    return absl::InvalidArgumentError("a burst must refill within two years: lower burst or raise the rate");
  }
  return limit;
}

Limit Share(const Limit& limit, int replicas) {
  if (replicas <= 1 || limit.requests == 0) return limit;
  const auto divide = [&](uint32_t value) { return std::max<uint32_t>(1, value / static_cast<uint32_t>(replicas)); };
  Limit share = limit;
  share.requests = divide(limit.requests);
  if (limit.burst != 0) {
    share.burst = divide(limit.burst);
    Derive(share);
  }
  return share;
}

}  // namespace lab::ratelimit
