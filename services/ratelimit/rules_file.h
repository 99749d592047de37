#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/ratelimit/rules.h"

namespace lab::ratelimit {

// What the process decides for its rules.
struct RuleDefaults {
  FailurePolicy on_store_failure = FailurePolicy::kAllow;
  int replicas = 1;              // the local share is the limit divided by this
  bool count_rejected = false;   // a broken variant, for teaching
  bool share = false;            // the limit itself is this replica's share
  bool read_then_write = false;  // the store can keep single values only
};

struct RulesFile {
  std::string name;  // in messages
  std::string text;
  friend bool operator==(const RulesFile&, const RulesFile&) = default;
};

// Reads the descriptor YAML of envoyproxy/ratelimit with our additions (README.md lists the keys), one domain a file.
// Strict: whatever is wrong in any file is in one INVALID_ARGUMENT, a line each: "<file>:<line>: <path>: <what>".
absl::StatusOr<std::shared_ptr<const RuleSet>> ParseRules(const std::vector<RulesFile>& files,
                                                          const RuleDefaults& defaults);

// The file at `path`, or all *.yaml and *.yml of the folder at `path`, in the order of their names (at most 256).
absl::StatusOr<std::vector<RulesFile>> ReadRulesFiles(const std::string& path);

}  // namespace lab::ratelimit
