#pragma once

#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/config.h"
#include "services/cacheapi/testing/http_testing.h"

// For tests of the whole service: its settings as a configuration file writes them.
namespace lab::cacheapi {

using Sets = std::vector<std::pair<std::string, std::string>>;

inline absl::Status Configure(Options& options, const Sets& sets) {
  app::Schema schema;
  Declare(schema, options);
  for (const auto& [path, value] : sets) {
    if (absl::Status wrong = schema.Set(path, value); !wrong.ok()) return wrong;
  }
  return Check(options);
}

// What is said against them; "" when nothing is.
inline std::string Wrong(const Sets& sets) {
  Options options;
  return std::string(Configure(options, sets).message());
}

}  // namespace lab::cacheapi
