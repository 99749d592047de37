// `status` and `down`: what is up, and the end of it.

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/run/runner.h"

namespace lab::bench::cli {
namespace {

using Json = nlohmann::json;

constexpr Millis kRedraw{500};

// What is to be shown: all, or the one that was named.
absl::StatusOr<std::vector<live::UpFolder>> Chosen(const Session& session, const Arguments& arguments) {
  const std::string lab = arguments.operands.empty() ? "" : arguments.operands[0];
  std::vector<live::UpFolder> chosen;
  for (live::UpFolder& folder : live::UpFolders(session.root)) {
    if (lab.empty() || folder.lab == lab) chosen.push_back(std::move(folder));
  }
  if (lab.empty() || !chosen.empty()) return chosen;
  return FindUp(session, lab).status();
}

std::vector<std::string> Lines(const std::vector<live::UpFolder>& folders, const Ansi& ansi) {
  std::vector<std::string> lines;
  for (const live::UpFolder& folder : folders) {
    if (!lines.empty()) lines.emplace_back();
    if (!folder.record) {
      lines.push_back(absl::StrCat(ansi.Bold(folder.lab), "  ",
                                   folder.starting > 0    ? "is on its way up or down"
                                   : folder.ended.empty() ? "is not up"
                                                          : "is not up any more: " + folder.ended));
      continue;
    }
    const absl::StatusOr<Json> state = ReadState(live::KeeperClient(*folder.record));
    if (state.ok()) {
      for (std::string& line : StatusLines(*folder.record, *state, UnixNow(), ansi)) lines.push_back(std::move(line));
    } else {
      lines.push_back(absl::StrCat(ansi.Bold(folder.lab), "  ", ansi.ByState(State::kFail, Message(state.status()))));
    }
  }
  if (lines.empty()) lines.emplace_back("nothing is up; ./lab up <lab> starts one");
  return lines;
}

int PrintJson(const std::vector<live::UpFolder>& folders) {
  Json out = {{"up", Json::array()}, {"ended", Json::array()}};
  int status = 0;
  for (const live::UpFolder& folder : folders) {
    if (!folder.record) {
      if (!folder.ended.empty()) out["ended"].push_back({{"lab", folder.lab}, {"why", folder.ended}});
      continue;
    }
    const live::KeeperRecord& record = *folder.record;
    absl::StatusOr<Json> state = ReadState(live::KeeperClient(record));
    if (!state.ok()) status = Fail(kNotCompleted, state.status());
    Json one = state.ok() ? *std::move(state) : Json::object();
    one["lab"] = record.lab;
    one["pid"] = record.pid;
    one["url"] = UrlOf(record);
    one["ends_unix_s"] = record.ends_unix_s;
    one["now_s"] = UnixNow() - record.started_unix_s;
    out["up"].push_back(std::move(one));
  }
  std::printf("%s\n", out.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  return status;
}

int Watch(const Session& session, const Arguments& arguments) {
  const std::atomic<int>& interrupted = CatchSignals();
  const bool terminal = IsTerminal(STDOUT_FILENO);
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  std::optional<LiveBlock> block;
  if (terminal) block.emplace(STDOUT_FILENO);
  while (interrupted == 0) {
    const absl::StatusOr<std::vector<live::UpFolder>> folders = Chosen(session, arguments);
    if (!folders.ok()) return Fail(StatusOfError(folders.status()), folders.status());
    const std::vector<std::string> lines = Lines(*folders, ansi);
    if (block) {
      block->Draw(lines);
    } else {
      for (const std::string& line : lines) std::printf("%s\n", line.c_str());
      std::fflush(stdout);
    }
    bool up = false;
    for (const live::UpFolder& folder : *folders) up = up || folder.record || folder.starting > 0;
    if (!up) break;
    std::this_thread::sleep_for(terminal ? kRedraw : 2 * kRedraw);
  }
  return 0;
}

int Status(const Session& session, const Arguments& arguments) {
  if (arguments.Has("--watch")) return Watch(session, arguments);
  const absl::StatusOr<std::vector<live::UpFolder>> folders = Chosen(session, arguments);
  if (!folders.ok()) return Fail(StatusOfError(folders.status()), folders.status());
  if (arguments.Has("--json")) return PrintJson(*folders);
  for (const std::string& line : Lines(*folders, Ansi(StyleOf(STDOUT_FILENO, false).color))) {
    std::printf("%s\n", line.c_str());
  }
  return 0;
}

int TakeDownOne(const Session& session, const live::UpFolder& folder) {
  bool orderly = true;
  if (folder.record) orderly = live::TakeDown(*folder.record);
  if (!folder.record && folder.starting > 0) orderly = live::TakeDownProcess(folder.starting);
  if (!orderly) CleanLeftovers(session.root);
  std::error_code error;
  std::filesystem::remove_all(folder.folder, error);
  if (!folder.record && folder.starting == 0) return 0;
  std::printf("%s is down%s\n", folder.lab.c_str(),
              orderly ? ": everything was healed and stopped"
                      : ": its keeper did not answer and was killed, which ended everything it ran");
  return 0;
}

int Down(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<std::vector<live::UpFolder>> folders = Chosen(session, arguments);
  if (!folders.ok()) {  // a lab that is not up is down
    const bool unknown = absl::IsInvalidArgument(folders.status());
    return unknown ? Fail(kUsage, folders.status()) : (std::puts(Message(folders.status()).c_str()), 0);
  }
  std::vector<std::string> up;
  for (const live::UpFolder& folder : *folders) {
    if (folder.record || folder.starting > 0) up.push_back(folder.lab);
  }
  if (arguments.operands.empty() && !arguments.Has("--all") && up.size() > 1) {
    std::string text = "several are up:";
    for (const std::string& lab : up) absl::StrAppend(&text, " ", lab);
    return Fail(kUsage, text + "; name one, or --all");
  }
  if (up.empty()) std::puts("nothing is up");
  int status = 0;
  for (const live::UpFolder& folder : *folders) status = std::max(status, TakeDownOne(session, folder));
  return status;
}

}  // namespace

Command StatusCommand() {
  return {{"status",
           "[lab]",
           0,
           1,
           {{"--watch", "", "again and again, until Ctrl-C or until nothing is up"},
            {"--json", "", "as JSON: the state document of each"}},
           "What is up: rates, percentiles, parts, what is broken and for how much longer",
           "Examples\n  ./lab status\n  ./lab status --watch\n  ./lab status --json\n"},
          &Status};
}

Command DownCommand() {
  return {{"down",
           "[lab]",
           0,
           1,
           {{"--all", "", "all that are up"}},
           "Heal and stop a system that is up, and leave nothing behind",
           "Examples\n  ./lab down\n  ./lab down rate-limit-outage\n  ./lab down --all\n"},
          &Down};
}

}  // namespace lab::bench::cli
