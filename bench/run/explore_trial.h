#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/model/trial.h"
#include "bench/run/journal.h"
#include "bench/run/process.h"
#include "bench/run/runner.h"
#include "bench/run/trial.h"

namespace lab::bench {

// The trial of a lab that explores: boots the system as RunTrial does, and goes through all schedules of the lab's
// casts, or through the one of --schedule. Errors as of RunTrial; INVALID_ARGUMENT: that schedule cannot be carried
// out.
absl::StatusOr<Trial> RunExploreTrial(const TrialRequest& request, Spawner& spawner, Journal& journal,
                                      Progress& progress);

// For Catalogue::check_explore.
std::string CheckExplore(const Lab& lab);
// "" or what is wrong with the --schedule of a run of this lab.
std::string CheckSchedule(const Lab& lab, const RunOptions& options);

}  // namespace lab::bench
