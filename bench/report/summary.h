#pragma once

#include <string>
#include <vector>

#include "bench/report/report.h"

// The closing words of a run on the terminal.
namespace lab::bench {

struct TerminalStyle {
  bool color = false;
  int width = 100;  // columns; lines are laid out to it
};

// Colours by meaning only; empty strings without colour.
struct Ansi {
  explicit Ansi(bool color);
  std::string ByState(State state, const std::string& text) const;
  std::string Bold(const std::string& text) const;
  std::string Dim(const std::string& text) const;
  std::string Fault(const std::string& text) const;
  bool color;
};

// Header, timeline with faults and receipts, table of variants, expectations, catches, predictions, verdict.
// `report_path` is shown as it is.
std::string Summary(const Report& report, const TerminalStyle& style, const std::string& report_path);

// " 0s ──warm──┤──steady──┤▓▓▓▓ pause ▓▓▓▓┤──recover──┤ 18s" of at most `width` columns; a phase in which a fault is in
// force is drawn ▓, one with a sudden fault has a ▼. With `now_s` >= 0 what is past is bold, the rest dim.
std::string TimelineBar(const std::vector<Phase>& phases, const std::vector<FaultRecord>& faults, int width,
                        const Ansi& ansi, double now_s = -1);

}  // namespace lab::bench
