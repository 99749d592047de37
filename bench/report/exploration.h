#pragma once

#include <string>

#include "bench/report/report.h"
#include "bench/report/summary.h"

// What the race explorer found, as a reader gets it: which race is open in which variant, and the shortest schedule
// that shows it. "" where nothing was explored.
namespace lab::bench {

// The table, a line for each open race, and the diagrams: all of them where one variant ran, else those of broken ones.
std::string ExplorationLines(const Report& report, int width, const Ansi& ansi);
// All of it, with the derivations of the matrix.
std::string ExplorationMarkdown(const Report& report);
std::string ExplorationHtml(const Report& report);

}  // namespace lab::bench
