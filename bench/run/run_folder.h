#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace lab::bench {

// Where runs and state are kept: $LAB_STATE, or .lab in the checkout.
std::string StateFolder(const std::string& root);

// A new folder <state>/runs/<lab>/<YYYYmmdd-HHMMSS>[-<kind>], with "-2" … behind it when there is one already.
absl::StatusOr<std::string> MakeRunFolder(const std::string& root, const std::string& lab,
                                          const std::string& kind = "");
// What puts such folders in the order of their time: the stamp, then the number as a number ("…-2" before "…-10").
std::pair<std::string, int> RunOrder(const std::string& folder);
// Points <state>/runs/<lab>/latest at it, and prunes.
void FinishRunFolder(const std::string& folder, int keep = 20, int keep_operations = 5);
// Removes the oldest results beside this run (and sweeps) beyond `keep`, this one counted; of those kept, all but the
// newest `keep_operations` lose their operations (ops.csv), by far their largest files.
void PruneRunFolders(const std::string& folder, int keep = 20, int keep_operations = 5);

}  // namespace lab::bench
