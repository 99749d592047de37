#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"

namespace lab::bench::live {

// The phase whose load a system is kept under: `asked`, else "steady", else the first after the first (which warms up)
// that has a load and no fault, else the first with a load. INVALID_ARGUMENT with the nearest name.
absl::StatusOr<std::string> SteadyPhase(const Lab& lab, const std::string& asked);

// The loads as they are in that phase, to go on without an end: its rate alone, without bursts; what climbs or leaps
// over the timeline stays at the rate it begins with.
std::vector<LoadSpec> SteadyLoads(std::vector<LoadSpec> loads, const std::string& phase);

// Operations a second that they offer together; a lane is an operation of its own.
double OfferedBy(const std::vector<LoadSpec>& loads);

}  // namespace lab::bench::live
