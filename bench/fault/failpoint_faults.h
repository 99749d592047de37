#pragma once

#include <vector>

#include "bench/fault/fault.h"

namespace lab::bench {

// The fault `failpoint` of every service: one more table of FaultKinds.
std::vector<FaultKind> FailpointFaults();
// Its options, the same for all services.
std::vector<FaultOption> FailpointFaultOptions();

}  // namespace lab::bench
