#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace lab::bench {

// The one rule for quantiles here: the nearest rank, that is the smallest value that at least `quantile` of all values
// do not exceed. Its place among `count` (at least 1) values in ascending order, from 1 to count.
inline uint64_t QuantileRank(double quantile, uint64_t count) {
  const auto all = static_cast<double>(count);
  // 0.55 * 100 is 55.00000000000001 in binary: without the allowance its rank would be 56.
  const double rank = std::ceil(std::clamp(quantile, 0.0, 1.0) * all - 1e-12 * all);
  return std::clamp<uint64_t>(static_cast<uint64_t>(std::max(rank, 1.0)), 1, count);
}

// The quantile of these values, of which there is at least one; changes their order.
inline int64_t QuantileOf(std::vector<int64_t>& values, double quantile) {
  const auto place = values.begin() + static_cast<int64_t>(QuantileRank(quantile, values.size()) - 1);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

}  // namespace lab::bench
