#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/fault/host_access.h"
#include "bench/model/trial.h"
#include "bench/run/journal.h"
#include "bench/run/part_kind.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

// One replica of a part of the system under test, as a process. Thread-safe: faults act on it while the runner watches.
class Part : public FaultTarget, private HostAccess {
 public:
  Part(const PartSpec& spec, int replica, const PartKind& kind, Spawner& spawner, Journal& journal);

  // On free ports, which it keeps for later starts; waits until it is ready. Tries other ports when one was taken
  // meanwhile. Errors carry the last lines of its log. `request` without ports, folders made.
  absl::Status Start(LaunchRequest request, const std::string& log, const std::vector<std::string>& environment,
                     Nanos timeout, const std::function<bool()>& interrupted);
  // Asked to end, a wait of `grace`, SIGKILL; whether it ended by itself. None of its processes runs afterwards.
  bool Stop(Nanos grace);

  // Once for each end that no fault asked for: in words.
  std::optional<std::string> UnaskedEnd();
  // Cuts its log to the first MiB when it has grown beyond 64 MiB.
  void BoundLog();

  const PartKind& part_kind() const { return kind_; }
  const Ports& ports() const { return ports_; }
  const std::string& full_name() const { return full_name_; }  // with the replica's number, where there are several
  int replica() const { return replica_; }
  const std::vector<std::string>& command() const { return command_.arguments; }
  const std::string& binary() const { return command_.binary; }

  const std::string& name() const override { return name_; }
  const std::string& kind() const override { return kind_name_; }
  pid_t pid() const override;
  int port(const std::string& name) const override;
  Look Ask(Nanos timeout) override { return kind_.Ask(ports_, timeout); }
  void ExpectEnd() override;
  int end_signal() const override { return kind_.StopSignals().front(); }
  absl::Status Signal(int signal) override;
  bool WaitEnd(Nanos timeout) override;
  absl::Status Restart(bool keep_data) override;
  HostAccess* host() override { return this; }
  // How many of its processes a fault had killed for want of memory.
  uint64_t own_oom_kills() const { return own_oom_kills_; }

 private:
  std::string OwnName() const override { return Concat("lab-", journal_.run_id(), "-", full_name_); }
  absl::Status WriteDown(const std::string& line) override { return journal_.Resource(line); }
  void OwnOomKills(uint64_t count) override { own_oom_kills_ += count; }
  std::string OwnDisk() const override { return own_disk_ && request_ ? request_->data_folder : ""; }
  std::vector<int> ServedPorts() const override;
  absl::StatusOr<std::string> Capture(const std::string& program, std::vector<std::string> arguments) override;

  absl::Status StartOnce(const LaunchRequest& request, const std::vector<std::string>& environment, Nanos timeout,
                         const std::function<bool()>& interrupted);
  absl::Status AwaitReady(Process& process, Nanos timeout, const std::function<bool()>& interrupted);
  std::shared_ptr<Process> process() const;
  // Ends those of its processes that it left behind.
  void EndStrays() const;
  std::string LogTail() const;

  const std::string name_, full_name_, kind_name_;
  const int replica_;
  const bool own_disk_;
  const PartKind& kind_;
  Spawner& spawner_;
  Journal& journal_;
  std::atomic<uint64_t> own_oom_kills_{0};
  Ports ports_;  // these and the command are fixed once Start has returned
  Command command_;
  std::optional<LaunchRequest> request_;  // of the last start
  std::mutex restarting_;                 // one restart at a time
  mutable std::mutex mutex_;
  std::shared_ptr<Process> process_;  // shared with whoever waits for its end while a fault replaces it
  bool expected_ = false;
  bool reported_ = false;
};

}  // namespace lab::bench
