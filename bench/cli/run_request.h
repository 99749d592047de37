#pragma once

#include "absl/status/statusor.h"
#include "bench/cli/arguments.h"
#include "bench/labfile/lab.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {

// The options of `lab run` against its lab, checked completely before anything starts: variants, --set like the lab
// file, predictions with their units. INVALID_ARGUMENT with all errors, a line each. Leaves root, command and
// interrupted alone.
absl::StatusOr<RunOptions> ReadRunOptions(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue);

}  // namespace lab::bench::cli
