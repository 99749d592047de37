#include "bench/cli/commands.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/terminal.h"
#include "bench/live/keeper_record.h"
#include "bench/report/text.h"
#include "bench/run/runner.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

const Command* FindCommand(const std::string& name) {
  for (const Command& command : Commands()) {
    if (command.spec.name == name) return &command;
  }
  return nullptr;
}

int UnknownCommand(const std::string& name) {
  std::vector<std::string> names = {"help"};
  for (const Command& command : Commands()) {
    if (!command.spec.hidden) names.push_back(command.spec.name);
  }
  return Fail(kUsage, absl::StrCat("there is no command \"", name, "\"", Suggestion(name, names), "\nsee ./lab help"));
}

int Help(const Session& session, const std::vector<std::string>& words) {
  if (words.empty()) {
    std::fputs(Overview(session).c_str(), stdout);
    return 0;
  }
  const Command* command = FindCommand(words[0]);
  if (command == nullptr) return UnknownCommand(words[0]);
  std::fputs(HelpText(command->spec).c_str(), stdout);
  return 0;
}

// Whether what was asked for could not be printed: a full disk, a closed descriptor. A reader that had enough (`|
// head`) lost nothing.
bool OutputIsLost() {
  struct stat where {};
  if (fstat(STDOUT_FILENO, &where) == 0 && (S_ISFIFO(where.st_mode) || S_ISSOCK(where.st_mode))) return false;
  const bool unwritten = std::fflush(stdout) != 0;
  return unwritten || std::ferror(stdout) != 0;
}

}  // namespace

const std::vector<Command>& Commands() {
  static const auto* const commands = new std::vector<Command>{
      RunCommand(),     SweepCommand(),   ListCommand(),    CheckCommand(), DoctorCommand(), ReportCommand(),
      CardCommand(),    HistoryCommand(), UpCommand(),      BreakCommand(), HealCommand(),   LoadCommand(),
      StatusCommand(),  LogsCommand(),    DownCommand(),    TestCommand(),  BenchCommand(),  CompletionCommand(),
      TargetsCommand(), KeepCommand(),    CompleteCommand()};
  return *commands;
}

std::string Message(const absl::Status& status) { return PrintableText(std::string(status.message())); }

int Fail(int exit_status, const absl::Status& status) { return Fail(exit_status, std::string(status.message())); }

int Fail(int exit_status, const std::string& text) {
  std::string line;
  for (const char c : text + "\n") {
    if (c == '\n') {
      std::fprintf(stderr, "lab: %s\n", PrintableText(line).c_str());
      line.clear();
    } else {
      line += c;
    }
  }
  return exit_status;
}

int StatusOfError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return kUsage;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
      return kMissing;
    default:
      return kNotCompleted;
  }
}

std::string Overview(const Session& session) {
  std::string out =
      "System Design Lab: run a design, break it, and quote the numbers of your own machine.\n\n"
      "Try first\n  ./lab run rate-limit-outage     a rate limiter loses its Redis, four ways to answer (about 2 "
      "minutes)\n"
      "  ./lab card                      what to say about it, with your numbers\n"
      "  ./lab up rate-limit-outage      the same system kept running, to break it by hand\n\nCommands\n";
  for (const Command& command : Commands()) {
    if (command.spec.hidden) continue;
    const std::string name = command.spec.name + (command.spec.operands.empty() ? "" : " " + command.spec.operands);
    absl::StrAppend(&out, "  ", PadRight("./lab " + name, 30), "  ", command.spec.summary, "\n");
  }
  absl::StrAppend(&out, "  ", PadRight("./lab help <command>", 30), "  options and examples of a command\n");
  const std::vector<std::string> labs = LabNames(session.root);
  if (!labs.empty()) {
    out += "\nLabs\n";
    for (const std::string& lab : labs) absl::StrAppend(&out, "  ", lab, "\n");
  }
  out +=
      "\nExit status of a run: 0 pass · 1 fail · 2 inconclusive · 64 usage · 69 a part is missing · 70 not completed\n";
  return out;
}

int Main(const std::vector<std::string>& words) {
  const absl::StatusOr<std::string> root = FindRoot();
  if (!root.ok()) return Fail(kNotCompleted, root.status());
  Session session{*root, {"./lab"}};
  session.command.insert(session.command.end(), words.begin(), words.end());
  const std::string name = words.empty() ? "help" : words[0];
  const std::vector<std::string> rest(words.begin() + (words.empty() ? 0 : 1), words.end());
  if (name == "help" || name == "--help" || name == "-h") return Help(session, rest);
  const Command* command = FindCommand(name);
  if (command == nullptr) return UnknownCommand(name);
  const absl::StatusOr<Arguments> arguments = ParseArguments(command->spec, rest);
  if (!arguments.ok()) return Fail(kUsage, arguments.status());
  if (arguments->Has("--help")) return Help(session, {name});
  // Whatever is started next finds a clean place, not only a run. The hidden one answers a script and must be quick.
  if (!command->spec.hidden) {
    for (const std::string& line : CleanLeftovers(session.root)) {
      std::fprintf(stderr, "lab: left by a killed run: %s\n", PrintableText(line).c_str());
    }
    for (const std::string& line : live::CleanKeepers(session.root)) {
      std::fprintf(stderr, "lab: %s\n", PrintableText(line).c_str());
    }
  }
  const int status = command->run(session, *arguments);
  if (OutputIsLost()) return Fail(kNotCompleted, "cannot write standard output");
  return status;
}

}  // namespace lab::bench::cli
