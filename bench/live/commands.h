#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/live/control.h"

namespace lab::bench::live {

// The JSON bodies of the POSTs (server.h), read strictly, and what they ask of the system; each returns the JSON of the
// answer. INVALID_ARGUMENT names the member that is wrong.
absl::StatusOr<std::string> BreakCommand(Control& control, const std::string& body);
absl::StatusOr<std::string> HealCommand(Control& control, const std::string& body);
absl::StatusOr<std::string> LoadCommand(Control& control, const std::string& body);
absl::StatusOr<std::string> DownCommand(Control& control, const std::string& body);

}  // namespace lab::bench::live
