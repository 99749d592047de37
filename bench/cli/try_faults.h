#pragma once

#include <string>
#include <vector>

namespace lab::bench::cli {

struct FaultTrial {
  std::string fault;     // "redis.pause"
  std::string evidence;  // what the probe saw
  std::string error;     // why it is not to be had here; "" when it was applied, seen and healed
};

// Starts each kind of part that needs nothing else, applies each of its faults for a moment, and looks whether a probe
// sees it come and go. Takes some seconds; leaves nothing behind.
std::vector<FaultTrial> TryFaults(const std::string& root);

}  // namespace lab::bench::cli
