#include "services/runtime/app/app.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "services/runtime/app/command_line.h"
#include "services/runtime/app/lifecycle.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/failpoint/point.h"
#include "services/runtime/obs/log.h"

namespace lab::app {
namespace {

// The file, then --set, then what the app and the service check over all fields; every error of the first two.
absl::Status Configure(const CommandLine& line, const Definition& definition, const Settings& settings,
                       Schema& schema) {
  std::vector<std::string> errors;
  const auto add = [&errors](std::string_view place, const absl::Status& status) {
    if (!status.ok()) errors.push_back(Concat(place, std::string(status.message())));
  };
  if (!line.config.empty()) {
    absl::StatusOr<std::string> text = ReadFile(line.config);
    add("--config: ", text.status());
    if (text.ok()) add("", schema.Parse(*std::move(text), line.config));
  }
  for (const auto& [path, value] : line.sets) add("--set ", schema.Set(path, value));
  if (errors.empty()) add("", settings.Check());
  if (errors.empty() && definition.check) add("", definition.check());
  return errors.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

int Refuse(const Definition& definition, const absl::Status& status) {
  const std::string text = Concat(std::string(status.message()), "\n", definition.name,
                                  ": nothing was started; --help lists every flag and field\n");
  std::fputs(text.c_str(), stderr);
  return kExitUsage;
}

int Print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0 ? kExitUnavailable : kExitStopped;
}

int RunMain(int argc, char** argv, const Definition& definition) {
  const absl::StatusOr<CommandLine> line = ParseCommandLine(std::vector<std::string>(argv + 1, argv + argc));
  if (!line.ok()) return Refuse(definition, line.status());

  Settings settings;
  settings.http.port = definition.http_port;
  Schema schema;
  settings.Declare(schema);
  if (definition.declare) definition.declare(schema);
  if (line->help) return Print(HelpText(definition, schema));
  if (line->print_schema) return Print(schema.ToJson());
  if (line->print_failpoints) return Print(failpoint::PointsJson());
  if (const absl::Status configured = Configure(*line, definition, settings, schema); !configured.ok()) {
    return Refuse(definition, configured);
  }
  if (line->print_config) return Print(schema.CurrentYaml());
  if (line->check_config) return Print(Concat(definition.name, ": the configuration is right\n"));

  if (const char* endpoint = std::getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) settings.otlp_endpoint = endpoint;
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of that write, not the end of the process
  obs::SetLogService(definition.name);
  obs::SetLogLevel(settings.log_level);
  Lifecycle lifecycle(definition, settings);
  return lifecycle.Run();
}

}  // namespace

int Main(int argc, char** argv, const Definition& definition) {
  try {
    return RunMain(argc, argv, definition);
  } catch (const std::exception& thrown) {
    obs::Log(obs::Level::kError, "service_failed", {{"error", thrown.what()}});
    return kExitCutShort;
  }
}

}  // namespace lab::app
