#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/labfile/lab.h"

namespace lab::bench {

// What this host does not allow and the lab needs, a line each with reason and remedy; empty: it can run here. Found
// out by trying; nothing is left behind.
std::vector<std::string> NotHere(const Lab& lab);

// Puts the calling thread, and all that it makes from now on, into the namespaces that the lab asks for (`network:
// private`, `disk:`); nothing when it asks for none. What was made before, such as a page served to the outside, stays
// outside. Before any part is started. Without `network`: disks alone, for a system that is talked to from outside
// (`up`).
absl::Status EnterNamespacesOf(const Lab& lab, bool network = true);

}  // namespace lab::bench
