#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "bench/model/result.h"

// The search for the knee: the highest rate that meets an objective. Pure: what a rate does is asked of a function, so
// that a test can search simulated services.
namespace lab::bench {

struct KneeSearch {
  double start_per_s = 1000;
  double least_per_s = 200, most_per_s = 400'000;
  // How far the knee may lie below the lowest rate that was seen to miss the objective.
  double tolerance = 0.05;
  int confirmations = 2;
  double budget_s = 30;  // of all of it; a probe that would end later is not begun
  double probe_s = 0.7;  // of a probe that only points the way; longer at low rates, for its samples
  double confirm_s = 1.7;
  double overhead_s = 0.3;  // what a probe takes beside the time it measures
};

// Offers this rate for that long. An error ends the search without a knee: it says why nothing can be told.
using MeasureRate = std::function<absl::StatusOr<KneeProbe>(double rate_per_s, double seconds)>;

// Doubles (or halves) until one rate meets the objective and one does not, bisects between them in equal ratios until
// they are within the tolerance, and then demands: the lower one holds in so many longer probes, and a rate just above
// the upper one misses. A rate must miss twice in a row to end the doubling and to be above the knee, and one that the
// confirmation refuses is given up for a lower one, at the last of its time for half of it: neither a hiccup nor a
// lucky second decides. When the time ends while it looks further up, what was confirmed is the knee (at_least).
// `now_s` is the time since the search began. Fills per_s, or why; probes and took_s.
Knee FindKnee(const KneeSearch& search, const MeasureRate& measure, const std::function<double()>& now_s);

}  // namespace lab::bench
