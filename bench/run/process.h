#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// What to execute. The child gets a process group of its own, /dev/null as input, and both outputs appended to `log`.
struct Command {
  std::string binary;                    // path
  std::vector<std::string> arguments;    // argv, the name first
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string folder;                    // working folder
  std::string log;                       // path
  int cpu = -1;                          // pinned to it before it executes, and so all its threads; -1: not
};

// PATH, HOME, LANG, TZ and what the sanitizers and OpenTelemetry read, of our own environment.
std::vector<std::string> CleanEnvironment();

// How a process ended, in words: "exit status 1", "signal 9 (Killed)". `status` as of wait(2).
std::string DescribeEnd(int status);

// Makes child processes on a thread of its own, which lives as long as the spawner: the kernel's death signal
// (PR_SET_PDEATHSIG: SIGKILL) goes by the thread that forked. So no child outlives the spawner or a killed runner.
class Spawner {
 public:
  // `born` is told of each child before it executes anything (it waits meanwhile): what must be written down of it.
  using Born = std::function<absl::Status(pid_t pid, const std::string& name)>;
  explicit Spawner(Born born);
  ~Spawner();

  // Waits until the binary was executed, or could not be. Thread-safe.
  absl::StatusOr<pid_t> Spawn(const std::string& name, const Command& command);

 private:
  struct Order;
  void Run();
  absl::StatusOr<pid_t> Fork(const std::string& name, const Command& command);

  Born born_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Order*> orders_;
  bool stopping_ = false;
  std::thread thread_;
};

// A child and its group. Thread-safe. The pid stays ours until Poll has seen the end, so that a signal never hits a
// stranger that got the same number.
class Process {
 public:
  explicit Process(pid_t pid) : pid_(pid) {}
  ~Process();  // kills the group and waits

  pid_t pid() const;          // -1 after the end
  std::optional<int> Poll();  // wait status, once it has ended; ends what is left of its group
  bool WaitEnd(Nanos timeout);
  absl::Status Signal(int signal);  // to the group; not when it has ended
  // SIGCONT and SIGTERM, then SIGKILL; whether SIGTERM was enough.
  bool Stop(Nanos grace);

 private:
  mutable std::mutex mutex_;
  pid_t pid_;
  std::optional<int> status_;
};

// Runs a short command to its end and returns what it printed; errors: not there, not ended in time (it is killed
// then), another status than 0. Output is bounded to 4 MiB.
absl::StatusOr<std::string> CaptureOutput(const std::string& binary, std::vector<std::string> arguments, Nanos timeout);

}  // namespace lab::bench
