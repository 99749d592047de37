#include "bench/micro/paired.h"

#include <algorithm>
#include <cmath>

namespace lab::bench {

Quartiles QuartilesOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(values.size() - 1);
    const auto below = static_cast<size_t>(place);
    const size_t above = std::min(below + 1, values.size() - 1);
    return std::lerp(values[below], values[above], place - static_cast<double>(below));
  };
  return {at(0.25), at(0.5), at(0.75)};
}

double Median(std::vector<double> values) { return QuartilesOf(std::move(values)).median; }

const char* AtLeast(const Quartiles& values, double bound) {
  if (values.median >= bound) return values.low >= bound ? "yes" : "yes?";
  return values.high < bound ? "NO" : "NO?";
}

const char* AtMost(const Quartiles& values, double bound) {
  return AtLeast({-values.high, -values.median, -values.low}, -bound);
}

absl::Status Alternate(int rounds, const std::function<absl::Status()>& base,
                       const std::function<absl::Status()>& ours) {
  for (int round = 0; round < rounds; ++round) {
    const bool base_first = round % 2 == 0;
    if (absl::Status status = base_first ? base() : ours(); !status.ok()) return status;
    if (absl::Status status = base_first ? ours() : base(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

std::vector<double> Ratios(const std::vector<double>& ours, const std::vector<double>& base) {
  std::vector<double> ratios;
  for (size_t i = 0; i < std::min(ours.size(), base.size()); ++i) ratios.push_back(ours[i] / base[i]);
  return ratios;
}

}  // namespace lab::bench
