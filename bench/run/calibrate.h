#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/model/result.h"
#include "bench/run/journal.h"
#include "bench/run/process.h"
#include "bench/run/runner.h"

namespace lab::bench {

// The knee of the lab's reference variant: declared for quick runs, kept from an earlier run of the same programs,
// configuration and host, or else found now on a system of its own, without faults, in `folder` (made here). The loads
// that are shares of the knee are offered together, in the proportion of their shares, as Poisson arrivals; the rate of
// the knee is that of all of them. A Knee without a rate says why there is none; an error is what could not be started
// at all. Interrupted: CANCELLED.
absl::StatusOr<Knee> Calibrate(const Lab& lab, const RunOptions& options, const std::string& folder,
                               Progress& progress);

// The lab at its knee without looking for it: kept from an earlier run, or declared for quick ones. A lab whose rates
// are no shares of a knee as it is. NOT_FOUND, with the remedy, when none is known.
absl::StatusOr<Lab> AtKnownKnee(const Lab& lab, const RunOptions& options);

// One probe of these operations: those intended in [begin_s, end_s). Pure.
KneeProbe ProbeOf(const std::vector<Op>& ops, double begin_s, double end_s, const KneeSpec& objective);

}  // namespace lab::bench
