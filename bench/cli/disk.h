#pragma once

#include <string>

#include "absl/status/status.h"

namespace lab::bench::cli {

// A disk that is nearly full would end a run only when its results are written. RESOURCE_EXHAUSTED with the remedy when
// less than `bytes` are free where runs are kept; where that cannot be told, go on.
absl::Status CheckDisk(const std::string& root, double bytes);

}  // namespace lab::bench::cli
