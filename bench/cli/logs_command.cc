// `logs`: what the parts of a system that is up have written.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

constexpr char kKeeper[] = "keeper";  // our own process among the parts
constexpr std::streamoff kMostRead = 4 << 20;
constexpr Millis kPoll{200};

struct Log {
  std::string name, path;
  std::streamoff at = 0;  // read up to here
  std::string rest;       // a line whose end has not come
};

// The folder of the one that is meant; also of one that has ended by itself, whose logs are kept.
absl::StatusOr<live::UpFolder> FindFolder(const Session& session, const std::string& lab) {
  std::vector<live::UpFolder> up, ended;
  for (live::UpFolder& folder : live::UpFolders(session.root)) {
    if (!lab.empty() && folder.lab != lab) continue;
    (folder.record ? up : ended).push_back(std::move(folder));
  }
  if (up.size() == 1) return up[0];
  if (up.empty() && ended.size() == 1) return ended[0];
  return FindUp(session, lab).status();
}

std::vector<Log> LogsOf(const std::string& folder) {
  std::vector<Log> logs;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder + "/logs", error)) {
    if (entry.path().extension() == ".log")
      logs.push_back({entry.path().stem().string(), entry.path().string(), 0, ""});
  }
  std::sort(logs.begin(), logs.end(), [](const Log& a, const Log& b) { return a.name < b.name; });
  logs.push_back({kKeeper, folder + "/keeper.log", 0, ""});
  return logs;
}

// What was written since the last look, in whole lines; from the begin again when the log was cut.
std::vector<std::string> NewLines(Log& log) {
  std::ifstream file(log.path, std::ios::binary | std::ios::ate);
  std::vector<std::string> lines;
  if (!file) return lines;
  const std::streamoff size = file.tellg();
  if (size < log.at) log.at = 0;
  if (size - log.at > kMostRead) {
    log.at = size - kMostRead;
    log.rest.clear();
  }
  file.seekg(log.at);
  std::string text(static_cast<size_t>(size - log.at), '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  log.at += static_cast<std::streamoff>(text.size());
  for (const char c : text) {
    if (c == '\n') {
      lines.push_back(std::exchange(log.rest, ""));
    } else {
      log.rest += c;
    }
  }
  return lines;
}

void Print(const Log& log, const std::vector<std::string>& lines, size_t first, int width) {
  for (size_t i = first; i < lines.size(); ++i) {
    const std::string prefix = width > 0 ? PadRight(log.name, width) + " | " : "";
    std::printf("%s%s\n", prefix.c_str(), PrintableText(lines[i]).c_str());
  }
}

int ShowLogs(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<std::optional<uint64_t>> count = arguments.Number("-n", 0, 1'000'000);
  if (!count.ok()) return Fail(kUsage, count.status());
  const absl::StatusOr<live::UpFolder> folder = FindFolder(session, arguments.Get("--lab"));
  if (!folder.ok()) return Fail(StatusOfError(folder.status()), folder.status());
  std::vector<Log> logs = LogsOf(folder->folder);
  if (!arguments.operands.empty()) {
    const std::string& part = arguments.operands[0];
    std::vector<std::string> names;
    for (const Log& log : logs) names.push_back(log.name);
    std::erase_if(logs, [&](const Log& log) { return log.name != part; });
    if (logs.empty()) {
      return Fail(kUsage, absl::StrCat(folder->lab, " has no part \"", part, "\"", Suggestion(part, names)));
    }
  }
  int width = 0;
  for (const Log& log : logs) width = logs.size() > 1 ? std::max(width, DisplayWidth(log.name)) : 0;
  const size_t most = count->value_or(20);
  for (Log& log : logs) {
    const std::vector<std::string> lines = NewLines(log);
    Print(log, lines, lines.size() > most ? lines.size() - most : 0, width);
  }
  std::fflush(stdout);
  if (!arguments.Has("-f")) return 0;
  const std::atomic<int>& interrupted = CatchSignals();
  for (bool last = false; interrupted == 0 && !last;) {
    std::this_thread::sleep_for(kPoll);
    last = !folder->record || !live::Runs(*folder->record);  // then once more, for what it wrote at its end
    for (Log& log : logs) Print(log, NewLines(log), 0, width);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

Command LogsCommand() {
  return {{"logs",
           "[part]",
           0,
           1,
           {{"-f", "", "go on showing what is written, until Ctrl-C or its end"},
            {"-n", "N", "the last N lines of each (20)"},
            LabOption()},
           "What the parts of the system that is up have written",
           "Examples\n  ./lab logs\n  ./lab logs ratelimit -f\n  ./lab logs keeper      what was broken and healed, "
           "and when\n"},
          &ShowLogs};
}

}  // namespace lab::bench::cli
