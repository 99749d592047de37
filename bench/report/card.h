#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/report/report.h"

// The answer card: what to say in the interview, with the numbers of this run. Its text is the lab's
// (labs/<lab>/card.md); only placeholders are filled in:
//   {{deny.p99_fault}}   a value of a variant with its unit; "not measured" when this run has none
//   {{run.seed}}         of the run: lab, title, seed, command, host, cores, revision, started, load, verdict
namespace lab::bench {

// INVALID_ARGUMENT with one line an error, "labs/x/card.md:12: {{deny.p99_falt}}: …; did you mean …?".
absl::StatusOr<std::string> RenderCard(const std::string& text, const std::string& file, const Report& report);

// For a lab without a template: its question and the shown values, as a template.
std::string PlainCard(const Report& report);

// Checks a template before anything was measured.
absl::Status CheckCard(const std::string& text, const std::string& file, const Lab& lab);

}  // namespace lab::bench
