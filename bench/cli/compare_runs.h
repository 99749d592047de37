#pragma once

#include <string>

#include "bench/report/report.h"
#include "bench/report/summary.h"

// Two runs of one lab side by side, with what differs between them besides what was measured. Said with its limits:
// what lies between two runs (another hour, another neighbour on the host) is in the ratio too, and no interval shows
// it.
namespace lab::bench::cli {

std::string CompareRunsText(const Report& before, const Report& after, const Ansi& ansi);
std::string CompareRunsJson(const Report& before, const Report& after);

}  // namespace lab::bench::cli
