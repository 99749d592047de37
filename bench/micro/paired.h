#pragma once

#include <functional>
#include <vector>

#include "absl/status/status.h"

// A machine's speed drifts by tens of per cent within seconds (a virtual machine's most of all), so two variants are
// compared only within pairs of short measurements, back to back; what counts is the median of the pairs' ratios.
namespace lab::bench {

// Of a few values, interpolated; zeros when there are none.
struct Quartiles {
  double low = 0, median = 0, high = 0;
};
Quartiles QuartilesOf(std::vector<double> values);
double Median(std::vector<double> values);

// Whether the median is at least (at most) `bound`: "yes" or "NO", with a "?" when the quartiles lie on both sides of
// it, so that another run may say otherwise.
const char* AtLeast(const Quartiles& values, double bound);
const char* AtMost(const Quartiles& values, double bound);

// Calls both in each round; who is first alternates, so that a drift favours each as often. Ends at the first error.
absl::Status Alternate(int rounds, const std::function<absl::Status()>& base,
                       const std::function<absl::Status()>& ours);

// ours[i] / base[i].
std::vector<double> Ratios(const std::vector<double>& ours, const std::vector<double>& base);

}  // namespace lab::bench
