#pragma once

#include "bench/report/report.h"

// A made-up run for tests of reports, never for a verdict: a limiter that loses its store, four variants, three faults,
// with the shapes that real runs have (queueing without a deadline, drained at once; a breaker that opens).
namespace lab::bench::testing {

Lab SyntheticLab();
// Same seed, same run.
Run SyntheticRun(uint64_t seed = 7, double rate_per_s = 4000);

}  // namespace lab::bench::testing
