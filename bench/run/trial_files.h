#pragma once

#include <string>

#include "absl/status/status.h"
#include "bench/model/trial.h"

namespace lab::bench {

// The files of a trial, for those who want to look for themselves. A full disk is an error that names the file.
//   ops.csv     stream,key,intended_us,sent_us,done_us,outcome,answer,code
//   series.csv  part,name,labels,at_s,value
//   faults.json [{"id":…,"applied_s":…,"seen_s":…,"evidence":…,…}]
absl::Status WriteTrialFiles(const Trial& trial, const std::string& folder);

}  // namespace lab::bench
