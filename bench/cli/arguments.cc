#include "bench/cli/arguments.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

absl::Status Wrong(const CommandSpec& command, const std::string& text) {
  return absl::InvalidArgumentError(absl::StrCat(text, "\nsee ./lab help ", command.name));
}

const Option* FindOption(const CommandSpec& command, const std::string& name) {
  for (const Option& option : command.options) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::string OptionSuggestion(const CommandSpec& command, const std::string& name) {
  std::vector<std::string> names = {"--help"};
  for (const Option& option : command.options) {
    if (!option.hidden) names.push_back(option.name);
  }
  return Suggestion(name, names);
}

absl::Status CheckOperands(const CommandSpec& command, const Arguments& arguments) {
  if (arguments.operands.size() < command.min_operands) {
    return Wrong(command, absl::StrCat("lab ", command.name, " needs ", command.operands));
  }
  if (arguments.operands.size() > command.max_operands) {
    return Wrong(command, absl::StrCat("lab ", command.name, ": \"", arguments.operands[command.max_operands],
                                       "\" is one argument too many"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Arguments::Get(const std::string& name, const std::string& fallback) const {
  const auto found = options.find(name);
  return found == options.end() || found->second.empty() ? fallback : found->second.back();
}

std::vector<std::string> Arguments::All(const std::string& name) const {
  const auto found = options.find(name);
  return found == options.end() ? std::vector<std::string>() : found->second;
}

absl::StatusOr<std::optional<uint64_t>> Arguments::Number(const std::string& name, uint64_t min, uint64_t max) const {
  if (!Has(name)) return std::optional<uint64_t>();
  uint64_t value = 0;
  const std::string text = Get(name);
  // SimpleAtoi takes "-1" for an unsigned number in some versions and blanks in all of them.
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!digits || !absl::SimpleAtoi(text, &value) || value < min || value > max) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, " takes a whole number from ", min, " to ", max, ", not \"", text, "\""));
  }
  return std::optional<uint64_t>(value);
}

absl::StatusOr<Arguments> ParseArguments(const CommandSpec& command, const std::vector<std::string>& words) {
  Arguments arguments;
  if (command.passes_on) {
    arguments.operands = words;
    return arguments;
  }
  bool options_end = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (options_end || word.size() < 2 || word[0] != '-') {
      arguments.operands.push_back(word);
      continue;
    }
    if (word == "--") {
      options_end = true;
      continue;
    }
    const size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    if (name == "--help" || name == "-h") {
      arguments.options["--help"];
      continue;
    }
    const Option* option = FindOption(command, name);
    if (option == nullptr) {
      return Wrong(command,
                   absl::StrCat("lab ", command.name, " has no option ", name, OptionSuggestion(command, name)));
    }
    std::vector<std::string>& values = arguments.options[name];
    if (option->value.empty()) {
      if (equals != std::string::npos) return Wrong(command, absl::StrCat(name, " takes no value"));
      continue;
    }
    if (!values.empty() && !option->repeatable) return Wrong(command, absl::StrCat(name, " is given twice"));
    if (equals != std::string::npos) {
      values.push_back(word.substr(equals + 1));
    } else if (i + 1 < words.size()) {
      values.push_back(words[++i]);
    } else {
      return Wrong(command, absl::StrCat(name, " needs a value: ", name, " ", option->value));
    }
  }
  if (arguments.Has("--help")) return arguments;
  const absl::Status status = CheckOperands(command, arguments);
  if (!status.ok()) return status;
  return arguments;
}

absl::StatusOr<std::pair<std::string, std::string>> SplitAssignment(const std::string& option,
                                                                    const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(absl::StrCat(option, " takes name=value, not \"", text, "\""));
  }
  return std::pair(text.substr(0, equals), text.substr(equals + 1));
}

absl::StatusOr<Setting> SplitSetting(const std::string& text, const std::string& form) {
  const auto assignment = SplitAssignment("--set", text);
  if (!assignment.ok()) return assignment.status();
  const auto& [path, value] = *assignment;
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("--set takes ", form, ", not \"", text, "\""));
  }
  return Setting{path.substr(0, dot), path.substr(dot + 1), value};
}

std::string HelpText(const CommandSpec& command) {
  std::string usage = "./lab " + command.name;
  if (!command.operands.empty()) usage += " " + command.operands;
  if (!command.options.empty()) usage += " [options]";
  std::string out = absl::StrCat(command.summary, "\n\n  ", usage, "\n");
  int width = 0;
  for (const Option& option : command.options) {
    width = std::max(width, DisplayWidth(option.name) + 1 + DisplayWidth(option.value));
  }
  if (!command.options.empty()) out += "\n";
  for (const Option& option : command.options) {
    if (option.hidden) continue;
    const std::string name = option.value.empty() ? option.name : absl::StrCat(option.name, " ", option.value);
    absl::StrAppend(&out, "  ", PadRight(name, width), "  ", option.help, "\n");
  }
  if (!command.help.empty()) absl::StrAppend(&out, "\n", command.help);
  return out;
}

}  // namespace lab::bench::cli
