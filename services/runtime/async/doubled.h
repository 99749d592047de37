#pragma once

#include <algorithm>
#include <cstdint>

#include "services/runtime/base/time.h"

namespace lab::async {

// The wait after so many in a row that brought nothing: `first`, doubled each time, up to `most`.
inline Nanos Doubled(Nanos first, int times, Nanos most) {
  constexpr int kMostDoublings = 20;
  return std::min(first * (int64_t{1} << std::min(times, kMostDoublings)), most);
}

}  // namespace lab::async
