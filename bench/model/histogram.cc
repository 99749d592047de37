#include "bench/model/histogram.h"

#include <algorithm>
#include <bit>

#include "bench/model/quantile.h"

namespace lab::bench {
namespace {

constexpr int kSubBits = 7;  // 128 sub-buckets a power of two: a bucket is at most 1/128 of its values wide
constexpr int64_t kLargest = 3'600'000'000'000;  // 1 h

// Below 256 ns a bucket is one nanosecond; above, the leading eight bits of the value choose the bucket.
size_t IndexOf(int64_t value) {
  const auto bits = static_cast<uint64_t>(value);
  const int shift = std::max(0, static_cast<int>(std::bit_width(bits)) - (kSubBits + 1));
  return (static_cast<size_t>(shift) << kSubBits) + (bits >> shift);
}

int64_t UpperEdge(size_t index) {
  if (index < (size_t{2} << kSubBits)) return static_cast<int64_t>(index);
  const size_t shift = (index >> kSubBits) - 1;
  const size_t leading = index - (shift << kSubBits);
  return static_cast<int64_t>(((leading + 1) << shift) - 1);
}

}  // namespace

Histogram::Histogram() : counts_(IndexOf(kLargest) + 1) {}

void Histogram::Add(int64_t value_ns, uint64_t count) {
  if (count == 0) return;
  const int64_t value = std::max<int64_t>(value_ns, 0);
  counts_[IndexOf(std::min(value, kLargest))] += count;
  count_ += count;
  max_ = std::max(max_, value);
  min_ = std::min(min_, value);
  sum_ += static_cast<double>(value) * static_cast<double>(count);
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  min_ = std::min(min_, other.min_);
  sum_ += other.sum_;
}

int64_t Histogram::Quantile(double quantile) const {
  if (count_ == 0) return 0;
  const uint64_t rank = QuantileRank(quantile, count_);
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= rank) return seen == count_ ? max_ : std::min(UpperEdge(i), max_);
  }
  return max_;
}

int64_t Histogram::min() const { return count_ == 0 ? 0 : min_; }

double Histogram::mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

std::vector<std::pair<int64_t, uint64_t>> Histogram::Buckets() const {
  std::vector<std::pair<int64_t, uint64_t>> buckets;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] > 0) buckets.emplace_back(UpperEdge(i), counts_[i]);
  }
  return buckets;
}

}  // namespace lab::bench
