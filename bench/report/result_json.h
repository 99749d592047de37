#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/report/report.h"

namespace lab::bench {

inline constexpr char kResultSchema[] = "lab-result/1";

// The text of result.json (result.schema.json describes it): everything but the operations. Every key is always there;
// what was not measured is null. Times in seconds since the start of the load unless a key says otherwise.
std::string ResultJson(const Report& report);

// The other way round. Errors name `file`; a schema of another version is FAILED_PRECONDITION.
absl::StatusOr<Report> ParseResult(const std::string& text, const std::string& file);
// Reads result.json of a run folder; run.folder is then that folder.
absl::StatusOr<Report> ReadReport(const std::string& folder);

// The little that lists and histories need, without the trials: cheap for many runs.
struct RunHeadline {
  std::string folder, lab, started, revision;
  State state = State::kInconclusive;
  int exit_status = 70;
  uint64_t seed = 0;
  bool quick = false;
  std::vector<Measured> values;
  std::vector<ValueInfo> shown;
  std::vector<PredictionScore> predictions;
};
absl::StatusOr<RunHeadline> ReadHeadline(const std::string& folder);

}  // namespace lab::bench
