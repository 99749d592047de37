#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <csignal>
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

// Whom a child becomes before it executes anything.
struct RunAs {
  uid_t user = 0;
  gid_t group = 0;
  // The process is root of a user namespace in which there is nobody else (bench/host/namespaces.h): the child enters
  // one more, in which it has these numbers and is still the same user outside.
  bool by_namespace = false;
};

// Where a child finds the folder that is held for it: an open descriptor, so that whom it has become need not be
// allowed to enter the folders above it.
inline constexpr int kHeldDescriptor = 3;
inline constexpr const char* kHeldFolder = "/proc/self/fd/3";

// What to execute. The child gets a process group of its own, `input` (or nothing) as input, and both outputs appended
// to `log`.
struct Command {
  std::string binary;                    // path
  std::vector<std::string> arguments;    // argv, the name first
  std::vector<std::string> environment;  // "NAME=value", all of it
  std::string folder;                    // working folder
  std::string log;                       // path
  int cpu = -1;                          // pinned to it before it executes, and so all its threads; -1: not
  std::optional<RunAs> as = {};          // absent: as we are
  std::string held = "";                 // a folder that it finds at kHeldFolder; path
  std::string input = "";                // path
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
  // To the group; SIGSTOP, SIGCONT and SIGKILL to all that descend from it too, whatever groups they have made. Not
  // when it has ended.
  absl::Status Signal(int signal);
  // SIGCONT and the first of `signals`, a wait of `grace`, the others a second apart, then SIGKILL; whether SIGKILL was
  // not needed.
  bool Stop(Nanos grace, const std::vector<int>& signals = {SIGTERM});

 private:
  absl::Status SignalFamily(int signal);  // under the mutex
  mutable std::mutex mutex_;
  pid_t pid_;
  std::optional<int> status_;
};

// Runs a short command to its end and returns what it printed; errors: not there, not ended in time (it is killed
// then), another status than 0. Output is bounded to 4 MiB.
absl::StatusOr<std::string> CaptureOutput(const std::string& binary, std::vector<std::string> arguments, Nanos timeout);
absl::StatusOr<std::string> CaptureOutput(const Command& command, Nanos timeout);  // `log` and `cpu` mean nothing

}  // namespace lab::bench
