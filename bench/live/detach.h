#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace lab::bench::live {

// A process that outlives us: a session of its own, so that neither the end of the terminal nor its Ctrl-C reaches it,
// no input, both outputs appended to a log. Our environment and working folder.
struct Detached {
  pid_t pid = -1;
  int reports = -1;  // the reading end of what it writes to kReportDescriptor; the caller closes it
};

inline constexpr int kReportDescriptor = 3;

// NOT_FOUND when the binary cannot be executed. The caller waits for the process, or ends before it.
absl::StatusOr<Detached> StartDetached(const std::string& binary, const std::vector<std::string>& arguments,
                                       const std::string& log);

}  // namespace lab::bench::live
