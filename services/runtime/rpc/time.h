#pragma once

#include <grpc/support/time.h>

#include <algorithm>
#include <cstdint>

#include "services/runtime/base/time.h"

namespace lab::rpc {

// gRPC's monotonic clock is the steady clock.
inline gpr_timespec ToTimespec(Clock::time_point time) {
  if (time == Clock::time_point::max()) return gpr_inf_future(GPR_CLOCK_MONOTONIC);
  const auto since = std::max(time.time_since_epoch(), Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  gpr_timespec result{};
  result.tv_sec = seconds.count();
  result.tv_nsec = static_cast<int32_t>((since - seconds).count());
  result.clock_type = GPR_CLOCK_MONOTONIC;
  return result;
}

// The end of time for "no deadline" and for anything beyond it.
inline Clock::time_point FromTimespec(gpr_timespec time) {
  const gpr_timespec monotonic = gpr_convert_clock_type(time, GPR_CLOCK_MONOTONIC);
  constexpr auto kLast = std::chrono::duration_cast<std::chrono::seconds>(Clock::duration::max()).count();
  if (monotonic.tv_sec >= kLast) return Clock::time_point::max();
  return Clock::time_point(std::chrono::seconds(monotonic.tv_sec) + Nanos(monotonic.tv_nsec));
}

inline int64_t UnixNanosNow() {
  return std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace lab::rpc
