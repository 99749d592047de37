#pragma once

#include <string>
#include <vector>

namespace lab::bench::cli {

struct FaultTrial {
  std::string fault;         // "redis.pause"
  std::string evidence;      // what the probe saw
  std::string error;         // why it did not work; "" when it was applied, seen and healed
  std::string why_not_here;  // the host does not allow it: the reason, and what to do
};

// Starts each kind of part that needs nothing else, applies each of its faults for a moment, and looks whether a probe
// sees it come and go. Takes some seconds; leaves nothing behind, but the
// calling thread may be in a network and mounts of its own afterwards.
std::vector<FaultTrial> TryFaults(const std::string& root);

}  // namespace lab::bench::cli
