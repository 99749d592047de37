#include "services/runtime/app/command_line.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

const std::vector<std::string>& Flags() {
  static const std::vector<std::string> flags = {
      "--config", "--set", "--check-config", "--print-config", "--print-config-schema", "--print-failpoints", "--help"};
  return flags;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::vector<std::string> errors;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const size_t equals = arguments[i].find('=');
    const std::string flag = arguments[i].substr(0, equals);
    const bool takes_value = flag == "--config" || flag == "--set";
    std::string value;
    if (takes_value && equals != std::string::npos) {
      value = arguments[i].substr(equals + 1);
    } else if (takes_value && i + 1 < arguments.size()) {
      value = arguments[++i];
    } else if (takes_value) {
      errors.push_back(Concat(flag, " needs a value"));
      continue;
    } else if (equals != std::string::npos && std::find(Flags().begin(), Flags().end(), flag) != Flags().end()) {
      errors.push_back(Concat(flag, " takes no value"));
      continue;
    }
    if (flag == "--config") {
      if (!line.config.empty()) errors.push_back("--config is given twice; one file a process");
      line.config = value;
    } else if (flag == "--set") {
      const size_t at = value.find('=');
      if (at == std::string::npos || at == 0) {
        errors.push_back(Concat("--set ", value, ": write PATH=VALUE, for example --set http.port=8080"));
      } else {
        line.sets.emplace_back(value.substr(0, at), value.substr(at + 1));
      }
    } else if (flag == "--check-config") {
      line.check_config = true;
    } else if (flag == "--print-config") {
      line.print_config = true;
    } else if (flag == "--print-config-schema") {
      line.print_schema = true;
    } else if (flag == "--print-failpoints") {
      line.print_failpoints = true;
    } else if (flag == "--help" || flag == "-h") {
      line.help = true;
    } else {
      errors.push_back(Concat("unknown argument ", flag, Suggestion(flag, Flags())));
    }
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  return line;
}

std::string HelpText(const Definition& definition, const Schema& schema) {
  const std::string& name = definition.name;
  std::string out =
      Concat(name, ": ", definition.summary, "\n\nusage: ", name, R"( [--config FILE] [--set PATH=VALUE]...

  --config FILE          YAML; fields that are not in it keep their defaults
  --set PATH=VALUE       one field, over the file; as often as you like: --set stop.deadline=2s
  --check-config         says everything that is wrong with the file and --set, and starts nothing
  --print-config         the resulting configuration, as a commented file to start from
  --print-config-schema  every field as JSON
  --print-failpoints     the failpoints that this program has, as JSON
  --help                 this

Fields (path, default, meaning):
)");
  size_t widest = 0;
  for (const Schema::Field& field : schema.fields()) widest = std::max(widest, field.path.size());
  for (const Schema::Field& field : schema.fields()) {
    const std::string fallback = field.fallback.empty() ? "\"\"" : field.fallback;
    const std::string range = field.range.empty() ? "" : Concat(", ", field.range);
    out += absl::StrFormat("  %-*s  %-10s %s (%s%s)\n", static_cast<int>(widest), field.path, fallback, field.doc,
                           field.type, range);
  }
  out += R"(
HTTP, on http.host and http.port (0: a free port, named by the log line service_ready):
  GET /metrics  Prometheus text    GET /healthz  the loop turns    GET /readyz  takes traffic: 200, else 503
Environment:
  OTEL_EXPORTER_OTLP_ENDPOINT  http://host:4318: sampled spans are posted there as OTLP/HTTP JSON
Signals: SIGTERM and SIGINT stop in order, within stop.deadline; a second one ends the process at once.
Exit status: 0 stopped in order; 64 usage or configuration; 69 a part could not start; 70 the stop was cut short.
)";
  return out;
}

}  // namespace lab::app
