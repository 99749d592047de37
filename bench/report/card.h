#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/report/report.h"

// The answer card: what to say in the interview, with the numbers of this run. Its text is the lab's
// (labs/<lab>/card.md); only placeholders are filled in:
//   {{deny.p99_fault}}   a value of a variant with its unit; "not measured" when this run has none
//   {{run.seed}}         of the run: lab, title, seed, command, host, cores, revision, started, load, verdict
namespace lab::bench {

// The whole card: the template, filled in (without one: the question and the shown values), and where its numbers come
// from. A run that measured nothing gets a card that says why, whatever the template. Errors: as RenderCard.
absl::StatusOr<std::string> CardOf(const Report& report, const std::string& text, const std::string& file);

// INVALID_ARGUMENT with one line an error, "labs/x/card.md:12: {{deny.p99_falt}}: …; did you mean …?".
absl::StatusOr<std::string> RenderCard(const std::string& text, const std::string& file, const Report& report);

// Checks a template before anything was measured.
absl::Status CheckCard(const std::string& text, const std::string& file, const Lab& lab);

}  // namespace lab::bench
