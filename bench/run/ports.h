#pragma once

#include "absl/status/statusor.h"

namespace lab::bench {

// A loopback port that nobody has at the moment, 20000 … 31999: below the range from which the kernel takes the ports
// of outgoing connections, so that a part can be restarted on its port while others connect. Never the same twice from
// one process before the range is through. Thread-safe.
absl::StatusOr<int> FreePort();
bool PortIsFree(int port);

}  // namespace lab::bench
