#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/model/trial.h"
#include "bench/run/journal.h"
#include "bench/run/process.h"
#include "bench/run/runner.h"

namespace lab::bench {

struct TrialRequest {
  const Lab& lab;
  const VariantSpec& variant;
  const RunOptions& options;
  int repeat = 1;
  std::string folder;  // of the trial, made by the caller
};

// The lab's loads with the request fields that the variant changes.
std::vector<LoadSpec> LoadsOf(const Lab& lab, const VariantSpec& variant);

// One variant from fresh state: boot, load with faults, final reads, an orderly stop. Whatever it returns, everything
// it started has ended. An error: a part could not start, the generator could not connect, the disk is full.
// Interrupted: a trial that is not complete, with what there is.
absl::StatusOr<Trial> RunTrial(const TrialRequest& request, Spawner& spawner, Journal& journal, Progress& progress);

}  // namespace lab::bench
