// `up`: starts a keeper (keep_command.cc) in the background and waits until its system is ready.

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/keep_request.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/live/detach.h"
#include "bench/report/text.h"
#include "bench/run/run_folder.h"
#include "bench/run/runner.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLogTail = 1500;

int ListLabs(const Session& session) {
  const std::vector<live::UpFolder> folders = live::UpFolders(session.root);
  std::puts("Which lab? Its system is kept running in the background, to be broken by hand.");
  for (const std::string& name : LabNames(session.root)) {
    bool up = false;
    for (const live::UpFolder& folder : folders) up = up || (folder.lab == name && folder.record);
    std::printf("  ./lab up %s%s\n", name.c_str(), up ? "   (is up)" : "");
  }
  return 0;
}

// What the keeper told of its start.
struct StartReport {
  bool ready = false;
  int exit_status = kNotCompleted;
  std::string error;
};

// Shows what the keeper tells until it is ready or has given up. Ctrl-C ends the keeper.
StartReport Follow(const live::Detached& keeper, const std::atomic<int>& interrupted) {
  StartReport report;
  std::string text;
  char buffer[4096];
  bool told = false;
  for (;;) {
    if (interrupted != 0 && !told) {
      kill(keeper.pid, SIGTERM);
      told = true;
    }
    const ssize_t size = read(keeper.reports, buffer, sizeof(buffer));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    text.append(buffer, static_cast<size_t>(size));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      const std::string line = text.substr(0, end);
      const std::string rest = line.substr(std::min(line.size(), line.find(' ') + 1));
      if (line.rfind("boot ", 0) == 0) {
        std::printf("  %s\n", PrintableText(rest).c_str());
        std::fflush(stdout);
      } else if (line == "ready") {
        report.ready = true;
      } else if (line.rfind("fail ", 0) == 0) {
        const size_t space = rest.find(' ');
        if (!absl::SimpleAtoi(rest.substr(0, space), &report.exit_status)) report.exit_status = kNotCompleted;
        absl::StrAppend(&report.error, report.error.empty() ? "" : "\n", rest.substr(space + 1));
      }
    }
  }
  close(keeper.reports);
  if (!report.ready && interrupted != 0) report.error = "interrupted; nothing is left running";
  return report;
}

std::string TailOf(const std::string& log) {
  const absl::StatusOr<std::string> text = ReadFile(log, 64 << 20);
  if (!text.ok() || text->empty()) return "it printed nothing";
  return "the end of its log:\n" + text->substr(text->size() > kLogTail ? text->size() - kLogTail : 0);
}

int ShowUp(const Session& session, const std::string& lab) {
  const absl::StatusOr<live::KeeperRecord> record = FindUp(session, lab);
  if (!record.ok()) return Fail(kNotCompleted, record.status());
  const absl::StatusOr<nlohmann::json> state = ReadState(live::KeeperClient(*record));
  if (!state.ok()) return Fail(kNotCompleted, state.status());
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  std::string out =
      absl::StrCat("\n", ansi.Bold(lab), " is up: variant ", record->variant, ", ",
                   WithCommas(static_cast<uint64_t>(state->value("load_per_s", 0.0))), " operations a second, until ",
                   ClockTime(record->ends_unix_s), "\n\n  page    ", UrlOf(*record), "\n");
  for (const std::string& line : TopologyLines(*state)) absl::StrAppend(&out, "  system  ", line, "\n");
  std::string example = "redis.pause";
  if (const auto& breakable = (*state)["breakable"]; breakable.is_array() && !breakable.empty()) {
    const auto offered = [&](const std::string& fault) {
      for (const auto& one : breakable) {
        if (one.value("fault", "") == fault) return true;
      }
      return false;
    };
    if (!offered(example)) example = breakable[0].value("fault", example);
  }
  absl::StrAppend(&out, "\nNext\n  ./lab break                      what can be broken here\n  ",
                  PadRight(absl::StrCat("./lab break ", example, " --for 5s"), 32),
                  " break it, see when it is noticed\n"
                  "  ./lab status --watch             rates, percentiles, what is broken\n"
                  "  ./lab load 2x                    twice the load\n"
                  "  ./lab logs -f                    what the parts write\n"
                  "  ./lab down                       heal and stop everything\n");
  std::fputs(out.c_str(), stdout);
  return 0;
}

int Up(const Session& session, const Arguments& arguments) {
  if (arguments.operands.empty()) return ListLabs(session);
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], catalogue);
  if (!lab.ok()) return Fail(kUsage, lab.status());
  if (const absl::Status built = CheckBuilt(*lab, catalogue); !built.ok()) return Fail(kMissing, built);
  const absl::StatusOr<KeepRequest> request = ReadKeepRequest(arguments, *lab, catalogue, session.root);
  if (!request.ok()) return Fail(kUsage, request.status());
  for (const live::UpFolder& folder : live::UpFolders(session.root)) {
    if (folder.lab != lab->name || (!folder.record && folder.starting == 0)) continue;
    return Fail(kUsage, folder.record ? absl::StrCat(lab->name, " is up already (variant ", folder.record->variant,
                                                     "): ./lab status shows it, ./lab down ", lab->name, " ends it")
                                      : absl::StrCat(lab->name, " is on its way up or down: try again"));
  }

  const std::string folder = live::UpFolderOf(session.root, lab->name);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return Fail(kNotCompleted, absl::StrCat("cannot make ", folder, ": ", error.message()));
  const std::string log = folder + "/keeper.log";
  fs::remove(log, error);
  // The same words, which the keeper reads again, and the same checkout and state whatever our environment said.
  std::vector<std::string> words = {"lab", "keep"};
  words.insert(words.end(), session.command.begin() + 2, session.command.end());
  setenv("LAB_ROOT", session.root.c_str(), 1);
  setenv("LAB_STATE", StateFolder(session.root).c_str(), 1);
  const std::atomic<int>& interrupted = CatchSignals(false);
  const absl::StatusOr<live::Detached> keeper =
      live::StartDetached(fs::read_symlink("/proc/self/exe", error).string(), words, log);
  if (!keeper.ok()) {
    fs::remove_all(folder, error);
    return Fail(kNotCompleted, keeper.status());
  }
  std::printf("starting %s\n", lab->name.c_str());
  std::fflush(stdout);
  const StartReport report = Follow(*keeper, interrupted);
  if (report.ready) return ShowUp(session, lab->name);
  waitpid(keeper->pid, nullptr, 0);
  const std::string why =
      report.error.empty() ? absl::StrCat("the keeper ended while it started; ", TailOf(log)) : report.error;
  // A keeper that was ended before it could do so left its folder; who holds the lock is another one.
  if (const auto lock = live::KeeperLock::Take(folder); lock.ok()) fs::remove_all(folder, error);
  CleanLeftovers(session.root);
  return Fail(report.error.empty() ? kNotCompleted : report.exit_status, why);
}

}  // namespace

Command UpCommand() {
  return {{"up",
           "[lab]",
           0,
           1,
           {{"--variant", "V", "this variant of the design; otherwise the lab's reference"},
            {"--set", "PART.KEY=VALUE", "change a setting; repeatable", true},
            {"--phase", "P", "under the load of this phase; otherwise the steady one"},
            {"--for", "TIME", "goes down by itself after this time (2h; at most 24h)"},
            {"--seed", "N", "the same arrivals as another time"}},
           "Keep a lab's system running, to break it by hand",
           "Examples\n"
           "  ./lab up rate-limit-outage\n"
           "  ./lab up rate-limit-outage --variant allow --set ratelimit.redis.deadline=50ms\n"
           "  ./lab up rate-limit-algorithms --phase busy --for 30m\n\n"
           "It runs in the background, under the lab's steady load, on ports of its own, and survives this terminal;\n"
           "several labs can be up at once. ./lab break, heal, load, status and logs act on it, ./lab down ends it.\n"
           "Nothing is judged: ./lab run does that.\n"},
          &Up};
}

}  // namespace lab::bench::cli
