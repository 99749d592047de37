#include "bench/host/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "bench/host/family.h"
#include "bench/host/hierarchy.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kPeriodMicros = 100'000;
constexpr int64_t kLeastQuotaMicros = 1'000;  // what the kernel takes
constexpr int kRemoveAttempts = 100;
constexpr Millis kRemovePause{5};  // a process that has just ended leaves its group a little later

// Kernel files take a value in one write, and say with its error what is wrong with it.
absl::Status WriteValue(const std::string& file, const std::string& value) {
  errno = 0;
  std::ofstream out(file);
  out << value << std::flush;
  if (out) return absl::OkStatus();
  return absl::PermissionDeniedError(Concat("cannot write ", value, " to ", file, ": ", std::strerror(errno)));
}

std::vector<pid_t> ReadPids(const std::string& file) {
  std::vector<pid_t> pids;
  std::ifstream in(file);
  for (pid_t pid = 0; in >> pid;) {
    if (pid > 0) pids.push_back(pid);  // 0: of another namespace
  }
  return pids;
}

// The number behind "name " in a file of such lines.
std::optional<double> Field(const std::string& file, const std::string& name) {
  std::ifstream in(file);
  double value = 0;
  for (std::string key; in >> key >> value;) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::optional<double> Number(const std::string& file) {
  const absl::StatusOr<std::string> text = ReadFile(file);
  double value = 0;
  if (!text.ok() || !absl::SimpleAtod(absl::StripAsciiWhitespace(*text), &value)) return std::nullopt;
  return value;
}

// The group and those above it up to the mount, nearest first.
std::vector<Cgroup> Lineage(const Cgroup& group, const std::string& mount) {
  std::vector<Cgroup> all;
  for (fs::path folder = group.folder;; folder = folder.parent_path()) {
    all.push_back({group.controller, group.version, folder.string()});
    if (folder == mount || !folder.has_relative_path()) return all;
  }
}

std::vector<Cgroup> OurLineage(const std::string& controller, const CgroupView& view) {
  const absl::StatusOr<Cgroup> own = CgroupOf(getpid(), controller, view);
  const absl::StatusOr<Hierarchy> hierarchy = HierarchyOf(controller, view);
  if (!own.ok() || !hierarchy.ok()) return {};
  return Lineage(*own, hierarchy->mount);
}

std::optional<double> CpuLimit(const Cgroup& group) {
  if (group.version == 1) {
    const auto quota = Number(group.folder + "/cpu.cfs_quota_us"), period = Number(group.folder + "/cpu.cfs_period_us");
    if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
    return *quota / *period;
  }
  const std::string text = ReadFile(group.folder + "/cpu.max").value_or("");
  const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  double quota = 0, period = 0;
  if (words.size() != 2 || !absl::SimpleAtod(words[0], &quota) || !absl::SimpleAtod(words[1], &period) || period <= 0) {
    return std::nullopt;  // "max 100000"
  }
  return quota / period;
}

std::optional<double> MemoryLimit(const Cgroup& group) {
  constexpr double kUnlimited = 1e18;  // version 1 writes the largest page-aligned number
  const auto bytes = Number(group.folder + (group.version == 1 ? "/memory.limit_in_bytes" : "/memory.max"));
  return bytes && *bytes < kUnlimited ? bytes : std::nullopt;
}

bool Holds(const std::string& file, const std::string& word) {
  const std::string text = ReadFile(file).value_or("");
  const std::vector<std::string> words = absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return std::find(words.begin(), words.end(), word) != words.end();
}

bool MayMakeIn(const std::string& folder) {
  return access(folder.c_str(), W_OK | X_OK) == 0 && access((folder + "/cgroup.procs").c_str(), W_OK) == 0;
}

}  // namespace

absl::StatusOr<Cgroup> CgroupOf(pid_t pid, const std::string& controller, const CgroupView& view) {
  const absl::StatusOr<Hierarchy> hierarchy = HierarchyOf(controller, view);
  if (!hierarchy.ok()) return hierarchy.status();
  const absl::StatusOr<std::string> path = PathInHierarchy(pid, *hierarchy, view);
  if (!path.ok()) return path.status();
  std::error_code error;
  // In a container the path that the host sees may not exist below the mount, which then is the group itself.
  const std::string folder = hierarchy->mount + (*path == "/" ? "" : *path);
  return Cgroup{controller, hierarchy->version, fs::is_directory(folder, error) ? folder : hierarchy->mount};
}

absl::StatusOr<Cgroup> PlaceForCgroup(const std::string& controller, const std::string& name, const CgroupView& view) {
  const std::vector<Cgroup> lineage = OurLineage(controller, view);
  if (lineage.empty()) {
    return absl::FailedPreconditionError(
        Concat("no cgroup hierarchy with the ", controller,
               " controller is mounted here; on a host of its own: mount -t cgroup2 none /sys/fs/cgroup"));
  }
  const std::string remedy =
      geteuid() == 0
          ? "run outside of the container, or give it its control groups writable (docker run --privileged)"
          : "run as root, or in a session that owns its groups: systemd-run --user --scope -p Delegate=yes ./lab …";
  if (lineage[0].version == 1) {
    if (MayMakeIn(lineage[0].folder)) return Cgroup{controller, 1, Concat(lineage[0].folder, "/", name)};
    return absl::FailedPreconditionError(Concat("may not make a group in ", lineage[0].folder, "; ", remedy));
  }
  bool handed_down = false;
  for (size_t i = lineage.size() > 1 ? 1 : 0; i < lineage.size(); ++i) {
    const std::string& above = lineage[i].folder;
    if (!Holds(above + "/cgroup.subtree_control", controller)) continue;
    handed_down = true;
    if (MayMakeIn(above)) return Cgroup{controller, 2, Concat(above, "/", name)};
  }
  if (handed_down) {
    return absl::FailedPreconditionError(Concat("may not make a group above ", lineage[0].folder, "; ", remedy));
  }
  return absl::FailedPreconditionError(Concat("no group above ", lineage[0].folder, " hands the ", controller,
                                              " controller down; as root: echo +", controller, " > ",
                                              lineage.back().folder, "/cgroup.subtree_control"));
}

absl::Status MakeCgroup(const Cgroup& group) {
  if (mkdir(group.folder.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::PermissionDeniedError(Concat("cannot make the group ", group.folder, ": ", std::strerror(errno)));
}

absl::Status MoveToCgroup(const Cgroup& group, pid_t pid) {
  const std::vector<pid_t> family = FamilyOf(pid);
  for (size_t i = 0; i < family.size(); ++i) {
    const absl::Status moved = WriteValue(group.folder + "/cgroup.procs", std::to_string(family[i]));
    if (!moved.ok() && i == 0) return moved;  // a descendant may have ended meanwhile
  }
  return absl::OkStatus();
}

absl::Status LimitCpu(const Cgroup& group, double cores) {
  const int64_t quota =
      std::max(kLeastQuotaMicros, static_cast<int64_t>(std::llround(cores * static_cast<double>(kPeriodMicros))));
  if (group.version == 2) return WriteValue(group.folder + "/cpu.max", Concat(quota, " ", kPeriodMicros));
  const absl::Status period = WriteValue(group.folder + "/cpu.cfs_period_us", std::to_string(kPeriodMicros));
  return period.ok() ? WriteValue(group.folder + "/cpu.cfs_quota_us", std::to_string(quota)) : period;
}

absl::Status LimitMemory(const Cgroup& group, uint64_t bytes) {
  const bool first = group.version == 1;
  const absl::Status limited =
      WriteValue(group.folder + (first ? "/memory.limit_in_bytes" : "/memory.max"), std::to_string(bytes));
  if (!limited.ok()) return limited;
  // Without swap for it, or the kernel would swap instead of refusing. Absent where swap is not accounted.
  const std::string swap = group.folder + (first ? "/memory.memsw.limit_in_bytes" : "/memory.swap.max");
  if (access(swap.c_str(), W_OK) == 0) (void)WriteValue(swap, first ? std::to_string(bytes) : "0");
  return absl::OkStatus();
}

absl::Status RemoveCgroup(const Cgroup& group, const Cgroup& back) {
  std::error_code error;
  if (!fs::is_directory(group.folder, error)) return absl::OkStatus();
  for (int attempt = 0; attempt < 3; ++attempt) {  // again for what was forked between reading and moving
    const std::vector<pid_t> inside = ReadPids(group.folder + "/cgroup.procs");
    if (inside.empty()) break;
    for (const pid_t pid : inside) (void)WriteValue(back.folder + "/cgroup.procs", std::to_string(pid));
  }
  if (RemoveEmptyCgroup(group.folder)) return absl::OkStatus();
  return absl::UnavailableError(Concat("cannot remove the group ", group.folder, ": ", std::strerror(errno)));
}

bool RemoveEmptyCgroup(const std::string& folder) {
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    if (rmdir(folder.c_str()) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY) return false;
    std::this_thread::sleep_for(kRemovePause);
  }
  return false;
}

uint64_t ThrottledPeriods(const Cgroup& group) {
  return static_cast<uint64_t>(Field(group.folder + "/cpu.stat", "nr_throttled").value_or(0));
}

double ThrottledSeconds(const Cgroup& group) {
  if (group.version == 1) return Field(group.folder + "/cpu.stat", "throttled_time").value_or(0) / 1e9;
  return Field(group.folder + "/cpu.stat", "throttled_usec").value_or(0) / 1e6;
}

uint64_t OomKills(const Cgroup& group) {
  const std::string file = group.folder + (group.version == 1 ? "/memory.oom_control" : "/memory.events");
  return static_cast<uint64_t>(Field(file, "oom_kill").value_or(0));
}

HostLimits LimitsOfOurs(const CgroupView& view) {
  HostLimits limits;
  const auto tighten = [](std::optional<double>& limit, std::optional<double> other) {
    if (other && (!limit || *other < *limit)) limit = other;
  };
  for (const Cgroup& group : OurLineage("cpu", view)) tighten(limits.cpu_cores, CpuLimit(group));
  for (const Cgroup& group : OurLineage("memory", view)) tighten(limits.memory_bytes, MemoryLimit(group));
  return limits;
}

std::optional<double> OurThrottledSeconds(const CgroupView& view) {
  std::optional<double> seconds;
  for (const Cgroup& group : OurLineage("cpu", view)) {
    std::error_code error;
    if (fs::exists(group.folder + "/cpu.stat", error)) seconds = seconds.value_or(0) + ThrottledSeconds(group);
  }
  return seconds;
}

std::string WhyNoCgroup(const std::string& controller) {
  const absl::StatusOr<Cgroup> place = PlaceForCgroup(controller, Concat("lab-try-", getpid(), "-", controller));
  if (!place.ok()) return std::string(place.status().message());
  const absl::Status made = MakeCgroup(*place);
  const absl::Status limited = !made.ok()               ? made
                               : controller == "memory" ? LimitMemory(*place, uint64_t{1} << 30)
                                                        : LimitCpu(*place, 0.5);
  RemoveEmptyCgroup(place->folder);
  return limited.ok() ? "" : Concat(limited.message(), "; run as root, outside of a container");
}

std::string DescribeCgroups(const CgroupView& view) {
  std::map<int, std::string> by_version;
  for (const char* controller : {"cpu", "memory"}) {
    const absl::StatusOr<Hierarchy> hierarchy = HierarchyOf(controller, view);
    std::string& names = by_version[hierarchy.ok() ? hierarchy->version : 0];
    names += Concat(names.empty() ? "" : " and ", controller);
  }
  std::string text;
  for (const auto& [version, names] : by_version) {
    text += Concat(text.empty() ? "" : ", ", version == 0 ? "none for " : Concat("version ", version, " for "), names);
  }
  return text;
}

}  // namespace lab::bench
