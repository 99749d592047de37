#pragma once

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "bench/host/cgroup.h"

// Private to bench/host: which mounted hierarchy has a controller, and where in it a process is.
namespace lab::bench {

struct Hierarchy {
  std::string controller;
  int version = 0;
  std::string mount;  // "/sys/fs/cgroup/cpu"
};

// The version 1 hierarchy with it, else that of version 2 when its root lists it: a controller is never in both.
absl::StatusOr<Hierarchy> HierarchyOf(const std::string& controller, const CgroupView& view);

// "/user.slice/…" as /proc/<pid>/cgroup says; of the process itself when `pid` is ours.
absl::StatusOr<std::string> PathInHierarchy(pid_t pid, const Hierarchy& hierarchy, const CgroupView& view);

}  // namespace lab::bench
