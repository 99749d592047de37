#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The command line, read strictly: an unknown option or a missing value is an error with the nearest right name.
namespace lab::bench::cli {

struct Option {
  std::string name;   // "--seed"
  std::string value;  // what it takes, for help: "N"; "" is a flag
  std::string help;   // one line
  bool repeatable = false;
  bool hidden = false;
};

struct CommandSpec {
  std::string name;
  std::string operands;  // for help: "<lab>", "[run]"
  size_t min_operands = 0, max_operands = 0;
  std::vector<Option> options;
  std::string summary;     // one line
  std::string help;        // paragraphs and examples
  bool passes_on = false;  // everything behind the command's name is an operand, options too
  bool hidden = false;
};

class Arguments {
 public:
  std::vector<std::string> operands;
  std::map<std::string, std::vector<std::string>> options;

  bool Has(const std::string& name) const { return options.count(name) > 0; }
  // The last value given, or `fallback`.
  std::string Get(const std::string& name, const std::string& fallback = "") const;
  std::vector<std::string> All(const std::string& name) const;
  // INVALID_ARGUMENT when it is no whole number in the range.
  absl::StatusOr<std::optional<uint64_t>> Number(const std::string& name, uint64_t min, uint64_t max) const;
};

// `words` without the command itself. "--name value" and "--name=value" are the same; "--" ends the options.
absl::StatusOr<Arguments> ParseArguments(const CommandSpec& command, const std::vector<std::string>& words);

// "a=b" split at the first "=".
absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& option, const std::string& text);

// "part.key=value" of --set.
struct Setting {
  std::string part, key, value;
};
// `form` is what the error says it should look like.
absl::StatusOr<Setting> SplitSetting(const std::string& text, const std::string& form = "part.key=value");

// Usage, options and examples of one command.
std::string HelpText(const CommandSpec& command);

}  // namespace lab::bench::cli
