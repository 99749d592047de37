#include "services/cacheapi/model/xfetch.h"

#include <cmath>

namespace lab::cacheapi {

bool RecomputeEarly(Clock::time_point now, Clock::time_point expiry, Nanos delta, double beta, double uniform) {
  if (now >= expiry) return true;
  if (!(beta > 0) || delta <= Nanos(0)) return false;
  // 1 - uniform lies in (0, 1]: its logarithm is finite. In doubles, which cannot overflow.
  const double early = -std::log1p(-uniform) * beta * static_cast<double>(delta.count());
  return early >= static_cast<double>((expiry - now).count());
}

}  // namespace lab::cacheapi
