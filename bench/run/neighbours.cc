#include "bench/run/neighbours.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "bench/observe/process_figures.h"

namespace lab::bench {
namespace {

constexpr double kLeastCores = 0.05;
constexpr size_t kMostNames = 3;

std::map<pid_t, ProcessFigures> ReadAll() {
  std::map<pid_t, ProcessFigures> all;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    if (const std::optional<ProcessFigures> figures = ReadProcess(pid)) all.emplace(pid, *figures);
  }
  return all;
}

bool IsOurs(pid_t pid, const std::map<pid_t, ProcessFigures>& all) {
  const pid_t self = getpid();
  for (int generations = 0; generations < 64 && pid > 0; ++generations) {
    if (pid == self) return true;
    const auto found = all.find(pid);
    if (found == all.end()) return false;
    pid = found->second.parent;
  }
  return false;
}

}  // namespace

NeighbourWatch::NeighbourWatch() : begin_(Clock::now()) {
  for (const auto& [pid, figures] : ReadAll()) before_[pid] = {figures.start_ticks, figures.cpu_s};
}

std::string NeighbourWatch::Busiest() const {
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const std::map<pid_t, ProcessFigures> now = ReadAll();
  std::map<std::string, double> cores_by_name;
  for (const auto& [pid, figures] : now) {
    if (IsOurs(pid, now)) continue;
    const auto seen = before_.find(pid);
    const bool same = seen != before_.end() && seen->second.start_ticks == figures.start_ticks;
    cores_by_name[figures.name] += (figures.cpu_s - (same ? seen->second.cpu_s : 0)) / seconds;
  }
  std::vector<std::pair<double, std::string>> busiest;
  for (const auto& [name, cores] : cores_by_name) {
    if (cores >= kLeastCores) busiest.emplace_back(cores, name);
  }
  std::sort(busiest.rbegin(), busiest.rend());
  busiest.resize(std::min(busiest.size(), kMostNames));
  std::string text;
  for (const auto& [cores, name] : busiest) {
    absl::StrAppendFormat(&text, "%s%s %.1f", text.empty() ? "" : ", ", name, cores);
  }
  return text;
}

}  // namespace lab::bench
