#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab::bench::live {

// What may be done by hand to a system that is kept running. Called on a thread that may wait for the answer; one call
// at a time. Errors are for the person who asked: what is wrong, and what would be right.
class Control {
 public:
  virtual ~Control() = default;
  // Breaks something, "redis.pause", for `seconds` or until it is healed; returns the id of its record. `options` as
  // in a lab file.
  virtual absl::StatusOr<std::string> Break(const std::string& fault, std::optional<double> seconds,
                                            const std::map<std::string, std::string>& options) = 0;
  // One fault, by its id or its name, or all of them.
  virtual absl::Status Heal(const std::optional<std::string>& fault) = 0;
  // The offered load as a multiple of the lab's; 0 is silence.
  virtual absl::Status Load(double factor) = 0;
  // Heals and stops everything; returns before it is done.
  virtual absl::Status Down() = 0;
};

}  // namespace lab::bench::live
