#pragma once

#include <sys/types.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab::bench {

// What a runner must tell the next one in case it is killed: .lab/state/<pid>-<start ticks>/journal, one line each,
// written before what it tells of. The folder also holds the data of the parts, and is gone when the runner ends.
//   boot <boot id of the kernel>
//   process <pid> <start ticks> <name>      its group has the same number
//   fault <text>
//   cgroup <folder>                         made for a fault
//   program <path>                          what executes it and works in this folder, or below it, is ours too
class Journal {
 public:
  // `state`: the folder below which the runner keeps its state (".lab").
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& state);
  ~Journal();  // removes the folder: every process in it must have ended

  const std::string& folder() const { return folder_; }
  absl::Status Process(pid_t pid, const std::string& name);
  void Fault(const std::string& text);
  // Something of the host's that is about to be made, as a line of its kind ("cgroup <folder>").
  absl::Status Resource(const std::string& line) { return Write(line); }
  // "LAB_RUN=<pid>-<start ticks>", in the environment of every child: by it the next start knows what is ours.
  std::string Marker() const;
  std::string run_id() const;  // "<pid>-<start ticks>"

 private:
  Journal(std::string folder, int fd) : folder_(std::move(folder)), fd_(fd) {}
  absl::Status Write(const std::string& line);

  const std::string folder_;
  const int fd_;
  std::mutex mutex_;
};

// The kernel's id of this boot; "" when it does not tell.
std::string BootId();

}  // namespace lab::bench
