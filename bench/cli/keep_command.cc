// `keep`: the process behind `up`, which outlives the terminal. Not for people.

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/keep_request.h"
#include "bench/cli/terminal.h"
#include "bench/cli/up_systems.h"
#include "bench/live/detach.h"
#include "bench/live/keeper.h"
#include "bench/live/keeper_record.h"
#include "bench/observe/process_figures.h"
#include "bench/run/journal.h"
#include "bench/run/needs.h"
#include "bench/run/process.h"
#include "bench/run/run_folder.h"

namespace lab::bench::cli {
namespace {

namespace fs = std::filesystem;

// Tells `up` how the start goes, a line each; nobody listens any more once it has ended.
class Reports : public Progress {
 public:
  Reports() { fcntl(live::kReportDescriptor, F_SETFD, FD_CLOEXEC); }
  void Boot(const std::string& text) override { Line("boot " + text); }
  void Ready() {
    Line("ready");
    close(live::kReportDescriptor);
  }
  int Failed(int exit_status, const absl::Status& status) {
    for (const absl::string_view line : absl::StrSplit(status.message(), '\n')) {
      Line(absl::StrCat("fail ", exit_status, " ", line));
    }
    return Fail(exit_status, status);
  }

 private:
  static void Line(const std::string& text) {
    const std::string line = text + "\n";
    if (write(live::kReportDescriptor, line.data(), line.size()) < 0) return;
  }
};

// What an earlier one left: everything but the lock and the log that we write to.
void Empty(const std::string& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() != "lock" && entry.path().filename() != "keeper.log") {
      fs::remove_all(entry.path(), error);
    }
  }
}

live::KeeperRecord RecordOf(const Lab& lab, const KeepRequest& request, const live::Keeper& keeper) {
  live::KeeperRecord record;
  record.lab = lab.name;
  record.variant = keeper.variant();
  record.pid = getpid();
  record.start_ticks = ReadProcess(getpid())->start_ticks;
  record.boot = BootId();
  record.port = keeper.page().port();
  record.token = keeper.page().token();
  record.started_unix_s = UnixNow() - keeper.Now();
  record.ends_unix_s = record.started_unix_s + std::chrono::duration<double>(request.length).count();
  return record;
}

// How it ended; "" when it was taken down.
absl::StatusOr<std::string> KeepUp(const Session& session, const Lab& lab, const KeepRequest& request,
                                   const std::string& folder, const std::atomic<int>& interrupted, Reports& reports) {
  const absl::StatusOr<std::unique_ptr<Journal>> journal = Journal::Open(StateFolder(session.root));
  if (!journal.ok()) return journal.status();
  // Not into a network of its own: who breaks it by hand is outside.
  if (const absl::Status entered = EnterNamespacesOf(lab, false); !entered.ok()) return entered;
  // Ends before the journal, and with it every child.
  Spawner spawner([&journal](pid_t pid, const std::string& name) { return (*journal)->Process(pid, name); });
  live::Keeper::Options options;
  options.root = session.root;
  options.folder = folder;
  options.variant = request.variant;
  options.phase = request.phase;
  options.set = request.set;
  options.seed = request.seed;
  options.length = request.length;
  options.interrupted = &interrupted;
  live::Keeper keeper(lab, std::move(options), spawner, **journal);
  if (const absl::Status started = keeper.Start(reports); !started.ok()) return started;
  if (const absl::Status written = live::WriteRecord(folder, RecordOf(lab, request, keeper)); !written.ok()) {
    return written;
  }
  reports.Ready();
  return keeper.Run();
}

int Keep(const Session& session, const Arguments& arguments) {
  const std::atomic<int>& interrupted = CatchSignals();
  std::signal(SIGHUP, SIG_IGN);  // the terminal may go
  Reports reports;
  const Catalogue catalogue = MakeCatalogue(session.root);
  const absl::StatusOr<Lab> lab = OpenLab(session.root, arguments.operands[0], catalogue);
  if (!lab.ok()) return reports.Failed(kUsage, lab.status());
  const absl::StatusOr<KeepRequest> request = ReadKeepRequest(arguments, *lab, catalogue, session.root);
  if (!request.ok()) return reports.Failed(kUsage, request.status());
  const std::string folder = live::UpFolderOf(session.root, lab->name);
  const absl::StatusOr<live::KeeperLock> lock = live::KeeperLock::Take(folder);
  if (!lock.ok()) return reports.Failed(absl::IsAlreadyExists(lock.status()) ? kUsage : kNotCompleted, lock.status());
  Empty(folder);
  const absl::StatusOr<std::string> ended = KeepUp(session, request->lab, *request, folder, interrupted, reports);
  std::error_code ignored;
  if (!ended.ok()) {
    const int status = reports.Failed(StatusOfError(ended.status()), ended.status());
    fs::remove_all(folder, ignored);
    return status;
  }
  if (ended->empty()) {
    fs::remove_all(folder, ignored);
    return 0;
  }
  live::WriteEnd(folder, absl::StrCat(*ended, " (", ClockTime(UnixNow()), ")"));
  fs::remove(folder + "/control.json", ignored);
  return 0;
}

}  // namespace

Command KeepCommand() {
  Command command = UpCommand();
  command.spec.name = "keep";
  command.spec.min_operands = 1;
  command.spec.hidden = true;
  command.run = &Keep;
  return command;
}

}  // namespace lab::bench::cli
