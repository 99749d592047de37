#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "bench/cli/arguments.h"
#include "bench/labfile/lab.h"

namespace lab::bench::cli {

// What `up` asks of a keeper.
struct KeepRequest {
  Lab lab;  // with its rates as they are offered: shares of a knee that is known already
  std::string variant, phase;
  std::map<std::string, std::map<std::string, std::string>> set;
  uint64_t seed = 1;
  Nanos length = std::chrono::hours(2);
};

// The options of `lab up` against its lab, checked completely before anything starts. `root`: the checkout.
// INVALID_ARGUMENT with all errors, a line each.
absl::StatusOr<KeepRequest> ReadKeepRequest(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue,
                                            const std::string& root);

}  // namespace lab::bench::cli
