#include "bench/host/hierarchy.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_split.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

bool Lists(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

absl::StatusOr<Hierarchy> HierarchyOf(const std::string& controller, const CgroupView& view) {
  std::ifstream mounts(view.mounts);
  Hierarchy second;
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string device, mount, type, options;
    fields >> device >> mount >> type >> options;
    if (type == "cgroup" && Lists(absl::StrSplit(options, ','), controller)) return Hierarchy{controller, 1, mount};
    if (type == "cgroup2" && second.mount.empty()) second = {controller, 2, mount};
  }
  if (second.version == 2) {
    const std::string listed = ReadFile(second.mount + "/cgroup.controllers").value_or("");
    if (Lists(absl::StrSplit(listed, absl::ByAnyChar(" \n")), controller)) return second;
  }
  return absl::NotFoundError(Concat("no cgroup hierarchy here has the controller ", controller));
}

absl::StatusOr<std::string> PathInHierarchy(pid_t pid, const Hierarchy& hierarchy, const CgroupView& view) {
  const std::string who = pid == getpid() ? "self" : std::to_string(pid);
  const absl::StatusOr<std::string> text = ReadFile(Concat(view.proc, "/", who, "/cgroup"));
  if (!text.ok()) return absl::NotFoundError(Concat("no process ", pid));
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    const bool second = fields[0] == "0" && fields[1].empty();
    if (hierarchy.version == 2 ? second : Lists(absl::StrSplit(fields[1], ','), hierarchy.controller)) return fields[2];
  }
  return absl::NotFoundError(Concat("process ", pid, " is in no group of the controller ", hierarchy.controller));
}

}  // namespace lab::bench
