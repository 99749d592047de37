#pragma once

#include "absl/status/statusor.h"
#include "bench/cli/arguments.h"
#include "bench/labfile/lab.h"
#include "bench/report/sweep.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {

// The options of `lab run` against its lab, checked completely before anything starts: variants, --set like the lab
// file, predictions with their units. INVALID_ARGUMENT with all errors, a line each. Leaves root, command and
// interrupted alone.
absl::StatusOr<RunOptions> ReadRunOptions(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue);

// What `lab sweep` is asked for.
struct SweepRequest {
  RunOptions options;  // variants named, repeat and settings that stay
  SweepPlan plan;
  SweepKnob knob;
};

// The options of `lab sweep`: of its --set exactly one names several values, "part.key=a,b,c", each of them checked
// like the lab file. The variant is the lab's reference unless others are named; a full sweep takes five blocks a
// point, the least that give an interval of 90 %.
absl::StatusOr<SweepRequest> ReadSweepRequest(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue);

}  // namespace lab::bench::cli
