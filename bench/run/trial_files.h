#pragma once

#include <string>

#include "absl/status/status.h"
#include "bench/model/trial.h"

namespace lab::bench {

// The files of a trial, for those who want to look for themselves. Errors name the file; of a full disk (or quota)
// IsDiskFull is true.
//   ops.csv     stream,key,intended_us,sent_us,done_us,outcome,answer,code,ask,session,version,attempts
//   series.csv  part,name,labels,at_s,value
//   at_rest.csv place,key,there,version,how; when it was asked for
//   faults.json [{"id":…,"applied_s":…,"seen_s":…,"evidence":…,…}]
absl::Status WriteTrialFiles(const Trial& trial, const std::string& folder);

// By a mark of its own and not by its code, RESOURCE_EXHAUSTED, which other bounds have too.
bool IsDiskFull(const absl::Status& status);

}  // namespace lab::bench
