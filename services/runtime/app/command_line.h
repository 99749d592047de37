#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/app/app.h"

namespace lab::app {

// By hand rather than with CLI11: seven flags, and every service would pay for compiling it.
struct CommandLine {
  std::string config;                                     // --config
  std::vector<std::pair<std::string, std::string>> sets;  // --set
  bool check_config = false;
  bool print_config = false;
  bool print_schema = false;
  bool print_failpoints = false;
  bool help = false;
};

// Everything wrong at once, a line each, with the nearest right flag.
absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments);

// What --help prints: purpose, flags, every field with its default, environment, signals, exit status.
std::string HelpText(const Definition& definition, const Schema& schema);

}  // namespace lab::app
