#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/run/journal.h"
#include "bench/run/process.h"

namespace lab::bench {

// Where the benchmarks keep what they need while they run, with the same journal as a run: a killed one is cleaned up
// by the next start of either. SIGINT, SIGTERM and SIGHUP end all children, remove the folder and leave with status 70.
// One a process; open it before any other thread.
class Workspace {
 public:
  // Below $LAB_STATE, or .lab in `root`. Temporary folders of this process go there too.
  static absl::StatusOr<std::unique_ptr<Workspace>> Open(const std::string& root);
  ~Workspace();  // every process must have ended; removes the folder

  const std::string& folder() const { return journal_->folder(); }
  // "LAB_RUN=…", for the environment of every child.
  std::string marker() const { return journal_->Marker(); }
  Spawner& spawner() { return *spawner_; }

 private:
  explicit Workspace(std::unique_ptr<Journal> journal);
  absl::Status Born(pid_t pid, const std::string& name);
  void AwaitSignal();
  void EndChildren();

  std::unique_ptr<Journal> journal_;
  std::mutex mutex_;
  std::vector<std::pair<pid_t, uint64_t>> children_;  // with their start ticks: a number may be used again
  bool closing_ = false;
  std::thread signals_;
  std::unique_ptr<Spawner> spawner_;
};

}  // namespace lab::bench
