#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// What faults of the host need of whoever runs a part; the runner implements it (bench/run). Thread-safe.
class HostAccess {
 public:
  virtual ~HostAccess() = default;
  // "lab-17-4711-redis": one of its kind on this host, and told to be ours by the process that made it. For groups.
  virtual std::string OwnName() const = 0;
  // A line of the journal, written before what it tells of is there: "cgroup /sys/fs/cgroup/cpu/lab-17-4711-redis".
  virtual absl::Status WriteDown(const std::string& line) = 0;
  // That the kernel killed so many of the part's processes at this fault's bidding, and not for want of memory.
  virtual void OwnOomKills(uint64_t count) = 0;
  // The folder of the part's data when that is a disk of its own (namespaces.h); "" when it is not.
  virtual std::string OwnDisk() const = 0;
  // All ports that the part serves on.
  virtual std::vector<int> ServedPorts() const = 0;
  // Runs a short program of the host in the namespaces of the run, to its end; what it printed.
  virtual absl::StatusOr<std::string> Capture(const std::string& program, std::vector<std::string> arguments) = 0;
};

}  // namespace lab::bench
