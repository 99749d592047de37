#include "bench/judge/median_interval.h"

#include <cmath>

namespace lab::bench {
namespace {

// P(Binomial(count, 1/2) <= most).
double AtMost(size_t most, size_t count) {
  double term = std::pow(0.5, static_cast<double>(count)), sum = 0;  // P(exactly i)
  for (size_t i = 0; i <= most; ++i) {
    sum += term;
    term *= static_cast<double>(count - i) / static_cast<double>(i + 1);
  }
  return sum;
}

}  // namespace

MedianRanks MedianInterval(size_t count, double wanted) {
  MedianRanks ranks{0, count - 1, 1 - 2 * AtMost(0, count)};
  for (size_t low = 1; 2 * low + 1 < count; ++low) {
    const double coverage = 1 - 2 * AtMost(low, count);
    if (coverage < wanted) break;
    ranks = {low, count - 1 - low, coverage};
  }
  return ranks;
}

}  // namespace lab::bench
