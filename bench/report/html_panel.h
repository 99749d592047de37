#pragma once

#include <string>
#include <vector>

#include "bench/report/report.h"

// Private to the HTML report: a place of the page that shows one trial, and the tables that stand under its charts.
namespace lab::bench {

struct Panel {
  const Trial* trial;
  const Timeline* timeline;
  const VariantInfo* variant;
};

// Null when the trial has no such phase.
const PhaseStats* FindPhase(const Timeline& timeline, const std::string& name);
// The sign of a state with its word for screen readers.
std::string StateMark(State state);
// 0.999 → "p99.9".
std::string QuantileName(double quantile);

// With a column of what was admitted where the system answers that.
std::string PhaseTable(const Panel& panel, bool answers);
std::string StepTable(const Panel& panel, bool answers);
std::string SpectrumTable(const std::vector<const Panel*>& panels, const std::string& phase);

}  // namespace lab::bench
