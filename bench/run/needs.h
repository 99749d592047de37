#pragma once

#include "absl/status/status.h"
#include "bench/labfile/lab.h"

namespace lab::bench {

// FAILED_PRECONDITION where this host does not allow what the lab needs, with reason and remedy of each. Found out by
// trying; nothing is left behind.
absl::Status CheckNeeds(const Lab& lab);

// Puts the calling thread, and all that it makes from now on, into the namespaces that the lab asks for (`network:
// private`, `disk:`); nothing when it asks for none. What was made before, such as a page served to the outside, stays
// outside. Before any part is started. Without `network`: disks alone, for a system that is talked to from outside
// (`up`).
absl::Status EnterNamespacesOf(const Lab& lab, bool network = true);

}  // namespace lab::bench
