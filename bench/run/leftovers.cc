// What a killed runner left behind: found by its journal, ended and removed at the next start.

#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "absl/strings/numbers.h"
#include "bench/host/cgroup.h"
#include "bench/host/family.h"
#include "bench/observe/process_figures.h"
#include "bench/run/journal.h"
#include "bench/run/part_kind.h"
#include "bench/run/run_folder.h"
#include "bench/run/runner.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

struct Left {
  pid_t pid = 0;
  uint64_t start_ticks = 0;
  std::string name;
};

struct OldState {
  std::string marker;  // name of the folder: "<pid>-<start ticks>"
  std::string boot;
  std::vector<Left> processes;
  std::vector<std::string> open_faults;
  std::vector<std::string> cgroups;
  std::set<std::string> programs;  // of parts that make processes of their own
};

bool SameProcess(pid_t pid, uint64_t start_ticks) {
  const auto now = ReadProcess(pid);
  return now && now->start_ticks == start_ticks && now->state != 'Z';
}

// The runner of a state folder, as its name says; false when it is not such a name.
bool OwnerOf(const std::string& name, pid_t* pid, uint64_t* start_ticks) {
  const size_t dash = name.find('-');
  return dash != std::string::npos && absl::SimpleAtoi(name.substr(0, dash), pid) && *pid > 0 &&
         absl::SimpleAtoi(name.substr(dash + 1), start_ticks);
}

OldState ReadState(const fs::path& folder) {
  OldState state;
  state.marker = folder.filename().string();
  std::ifstream journal(folder / "journal");
  for (std::string line; std::getline(journal, line);) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "boot") {
      words >> state.boot;
    } else if (kind == "process") {
      Left left;
      if (words >> left.pid >> left.start_ticks >> left.name && left.pid > 1) state.processes.push_back(left);
    } else if (kind == "fault") {
      std::string verb, id;
      words >> verb >> id;
      if (verb == "apply") state.open_faults.push_back(id);
      if (verb == "healed") std::erase(state.open_faults, id);
    } else if (kind == "program") {
      std::string program;
      if (std::getline(words >> std::ws, program) && program[0] == '/') state.programs.insert(program);
    } else if (kind == "cgroup") {
      std::string group;
      // Only of the name that a runner of this state gives: nothing else is ours, whatever stands there.
      if (words >> group && fs::path(group).filename().string().rfind("lab-" + state.marker + "-", 0) == 0) {
        state.cgroups.push_back(group);
      }
    }
  }
  return state;
}

bool HasMarker(pid_t pid, const std::string& marker) {
  std::ifstream file(Concat("/proc/", pid, "/environ"));
  const std::string environment{std::istreambuf_iterator<char>(file), {}};
  return (std::string(1, '\0') + environment).find(std::string(1, '\0') + "LAB_RUN=" + marker + std::string(1, '\0')) !=
         std::string::npos;
}

// Processes that carry the marker of that runner: its children, and theirs, whatever group they are in by now.
std::vector<Left> Marked(const std::string& marker) {
  std::vector<Left> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    Left left;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &left.pid) || !HasMarker(left.pid, marker)) continue;
    if (const auto figures = ReadProcess(left.pid)) {
      left.start_ticks = figures->start_ticks;
      left.name = "a child of a part";
      found.push_back(left);
    }
  }
  return found;
}

void End(const std::vector<Left>& all, std::vector<std::string>* done) {
  for (const Left& left : all) {
    if (!SameProcess(left.pid, left.start_ticks)) continue;  // has ended, or another one has its number by now
    kill(left.pid, SIGKILL);                                 // also ends what is stopped
    for (int i = 0; i < 500 && SameProcess(left.pid, left.start_ticks); ++i) std::this_thread::sleep_for(Millis(2));
    done->push_back(Concat(SameProcess(left.pid, left.start_ticks) ? "could not end " : "ended ", left.name,
                           " (process ", left.pid, ") of a killed run"));
  }
}

// Those of such a program that work in the folder of that runner: they have overwritten their marker.
std::vector<Left> AtWork(const fs::path& folder, const std::set<std::string>& programs) {
  std::vector<Left> found;
  for (const std::string& program : programs) {
    for (const pid_t pid : ProcessesIn(folder.string(), program)) {
      if (const auto figures = ReadProcess(pid)) found.push_back({pid, figures->start_ticks, "a process of a part"});
    }
  }
  return found;
}

// What the parts of that runner left outside of their folders, which are these, at some depth.
void CleanUpParts(const fs::path& folder) {
  constexpr int kDeepest = 3;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; entry != end && !error; entry.increment(error)) {
    if (entry.depth() >= kDeepest) entry.disable_recursion_pending();
    std::error_code gone;
    if (!entry->is_directory(gone) || entry->is_symlink(gone)) continue;
    for (const std::unique_ptr<PartKind>& kind : PartKinds()) kind->CleanUp(entry->path().string());
  }
}

// After the end of all that was in them.
void RemoveGroups(const OldState& state, std::vector<std::string>* done) {
  for (const std::string& group : state.cgroups) {
    std::error_code error;
    if (!fs::is_directory(group, error)) continue;
    done->push_back(Concat(RemoveEmptyCgroup(group) ? "removed " : "cannot remove ", group, " of a killed run"));
  }
}

}  // namespace

std::vector<std::string> CleanLeftovers(const std::string& root) {
  std::vector<std::string> done;
  const fs::path states = fs::path(StateFolder(root)) / "state";
  std::error_code error;
  std::vector<fs::path> folders;
  for (const fs::directory_entry& entry : fs::directory_iterator(states, error)) folders.push_back(entry.path());
  for (const fs::path& folder : folders) {
    pid_t owner = 0;
    uint64_t start_ticks = 0;
    if (!OwnerOf(folder.filename().string(), &owner, &start_ticks)) continue;  // not a folder of ours
    const OldState state = ReadState(folder);
    // After a reboot numbers and start times may be anybody's: then nothing of that run is alive.
    const bool this_boot = state.boot.empty() || state.boot == BootId();
    if (this_boot) {
      if (SameProcess(owner, start_ticks)) continue;  // it runs
      End(state.processes, &done);
      End(Marked(state.marker), &done);
      End(AtWork(folder, state.programs), &done);
      CleanUpParts(folder);
      RemoveGroups(state, &done);
      for (const std::string& fault : state.open_faults) {
        done.push_back(Concat("fault ", fault, " of a killed run: healed by the end of its part"));
      }
    }
    fs::remove_all(folder, error);
    done.push_back(error ? Concat("cannot remove ", folder.string(), ": ", error.message())
                         : Concat("removed ", folder.string()));
  }
  return done;
}

}  // namespace lab::bench
