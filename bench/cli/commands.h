#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/cli/arguments.h"

// The commands, one file each. Output that was asked for goes to standard output, errors and progress to standard
// error.
namespace lab::bench::cli {

// Exit statuses besides those of a run (0 pass, 1 fail, 2 inconclusive).
inline constexpr int kSkipped = 2;        // the host does not allow what a lab needs: inconclusive, nothing was started
inline constexpr int kUsage = 64;         // the command line, a lab file, an unknown name
inline constexpr int kMissing = 69;       // a needed part is not here and could not be got
inline constexpr int kNotCompleted = 70;  // everything else that went wrong

struct Session {
  std::string root;                  // the checkout
  std::vector<std::string> command;  // as typed, "./lab" first
};

struct Command {
  CommandSpec spec;
  int (*run)(const Session& session, const Arguments& arguments);
};

// All commands, in the order of the overview.
const std::vector<Command>& Commands();

Command RunCommand();
Command SweepCommand();
Command ListCommand();
Command CheckCommand();
Command DoctorCommand();
Command ReportCommand();
Command CardCommand();
Command HistoryCommand();
Command UpCommand();
Command BreakCommand();
Command HealCommand();
Command LoadCommand();
Command StatusCommand();
Command LogsCommand();
Command DownCommand();
Command CompletionCommand();
Command TestCommand();
Command BenchCommand();
Command TargetsCommand();
Command KeepCommand();
Command CompleteCommand();

// What there is and what to try first.
std::string Overview(const Session& session);

// What went wrong, without control characters.
std::string Message(const absl::Status& status);
// Prints the error, a line each, and returns the exit status.
int Fail(int exit_status, const absl::Status& status);
int Fail(int exit_status, const std::string& text);
// kUsage, kMissing or kNotCompleted, as the error's code says.
int StatusOfError(const absl::Status& status);

// The whole program: `words` are the arguments without the program's name.
int Main(const std::vector<std::string>& words);

}  // namespace lab::bench::cli
