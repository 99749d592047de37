#pragma once

#include <string>

#include "bench/report/report.h"
#include "bench/report/summary.h"

// The part of a report that tells how much there was room for: the knee with the rates that were tried, Little's law
// and utilisation beside the measurement. Each is "" where a run has nothing of it.
namespace lab::bench {

// "the knee of deny is 7,200/s (p99 <= 20 ms, errors <= 0.1 %), found in 17 s".
std::string KneeText(const Knee& knee);
// Where rate times time is not what was in flight: "deny, steady: …".
std::vector<std::string> LittleMismatches(const Report& report);

std::string CapacityHtml(const Report& report);
std::string CapacityMarkdown(const Report& report);
std::string CapacityLines(const Report& report, int width, const Ansi& ansi);

}  // namespace lab::bench
