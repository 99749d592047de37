#pragma once

#include <cstddef>

namespace lab::bench {

// Which two of `count` ordered values enclose the median of what they were drawn from, without any assumption about its
// distribution (David and Nagaraja, "Order Statistics", 3rd ed., section 7.1): both by place from 0, and how often such
// a pair encloses it. The innermost pair that does so in at least `wanted` of all cases; all of the values when they
// are too few for that (five are needed for 0.9), and then `coverage` says what they are worth. `count` is at least 1.
struct MedianRanks {
  size_t low = 0, high = 0;
  double coverage = 0;  // 1 - 2 P(Binomial(count, 1/2) <= low); 0 of a single value
};
MedianRanks MedianInterval(size_t count, double wanted = 0.9);

}  // namespace lab::bench
