#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace lab::bench {

// A log-linear histogram of nanoseconds, 0 … 1 h, at most 1 % relative error (128 sub-buckets a power of two; exact
// below 256 ns), exactly mergeable: counts add. After the idea of HdrHistogram (Gil Tene). Values outside are clamped
// and counted; a maximum above 1 h is kept as it is. Not thread-safe.
class Histogram {
 public:
  Histogram();
  void Add(int64_t value_ns, uint64_t count = 1);
  void Merge(const Histogram& other);
  uint64_t count() const { return count_; }
  // The smallest recorded value that at least `quantile` of all values do not exceed (upper edge of its bucket; the
  // last bucket answers with the exact maximum). 0 when empty.
  int64_t Quantile(double quantile) const;
  int64_t max() const { return max_; }
  int64_t min() const;
  double mean() const;
  // Non-empty buckets as (upper edge in ns, count), ascending.
  std::vector<std::pair<int64_t, uint64_t>> Buckets() const;

 private:
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  int64_t max_ = 0;
  int64_t min_ = INT64_MAX;
  double sum_ = 0;
};

}  // namespace lab::bench
