#include "bench/host/family.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr Millis kPoll{2};

// What a link of /proc says, without the mark of what has been removed since.
std::string LinkOf(pid_t pid, const char* name) {
  std::error_code error;
  std::string path = fs::read_symlink(Concat("/proc/", pid, "/", name), error).string();
  constexpr std::string_view kGone = " (deleted)";
  if (absl::EndsWith(path, View(kGone))) path.resize(path.size() - kGone.size());
  return path;
}

bool IsBelow(const std::string& path, const std::string& folder) {
  return path == folder ||
         (path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 && path[folder.size()] == '/');
}

// Ended but not waited for yet counts as ended: by then it holds nothing.
bool Runs(pid_t pid) {
  const std::string stat = ReadFile(Concat("/proc/", pid, "/stat")).value_or("");
  const size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end, 3, ") Z") != 0;
}

}  // namespace

std::vector<pid_t> FamilyOf(pid_t pid) {
  std::vector<pid_t> family = {pid};
  for (size_t i = 0; i < family.size(); ++i) {
    std::error_code error;
    for (const auto& task : fs::directory_iterator(Concat("/proc/", family[i], "/task"), error)) {
      std::ifstream children(task.path() / "children");
      for (pid_t child = 0; children >> child;) {
        if (child > 0) family.push_back(child);
      }
    }
  }
  return family;
}

std::vector<pid_t> ProcessesIn(const std::string& folder, const std::string& program) {
  std::error_code error;
  const std::string place = fs::weakly_canonical(folder, error).string();
  const std::string binary = fs::weakly_canonical(program, error).string();
  std::vector<pid_t> found;
  if (place.empty() || place == "/" || binary.empty()) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == getpid()) continue;
    if (LinkOf(pid, "exe") == binary && IsBelow(LinkOf(pid, "cwd"), place)) found.push_back(pid);
  }
  return found;
}

int EndProcessesIn(const std::string& folder, const std::string& program, int most_ms) {
  const std::vector<pid_t> found = ProcessesIn(folder, program);
  for (const pid_t pid : found) kill(pid, SIGKILL);
  const Clock::time_point end = Clock::now() + Millis(most_ms);
  for (const pid_t pid : found) {
    while (Runs(pid) && Clock::now() < end) std::this_thread::sleep_for(kPoll);
  }
  return static_cast<int>(found.size());
}

}  // namespace lab::bench
