#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/labfile/lab.h"
#include "bench/model/trial.h"

// What real runs left behind, for the tests of the judge. recorded/README.md says where it comes from.
namespace lab::bench::testing {

// Latencies in microseconds in the order in which they were intended, a vector a trial, in the order of the trials.
std::vector<std::vector<uint16_t>> RecordedLatencies();

// A trial of the limiter: 50 admissions a key in 2 s, by a sliding log ("sliding_log", never above it) and a fixed
// window
// ("fixed_window", up to twice it around an edge), the same arrivals to both; phases edge, quiet and busy. Whole, with
// the schedule it accounts for.
Trial RecordedLimiter();
// The lab that it belongs to, with one variant and nothing expected yet.
Lab RecordedLab();

}  // namespace lab::bench::testing
