#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bench/run/process.h"

// Private to process.cc: the way of a child from fork to exec.
namespace lab::bench {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { Close(); }
  void Close() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

struct Pipe {
  Descriptor read, write;
  bool Open() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
    read = Descriptor(ends[0]);
    write = Descriptor(ends[1]);
    return true;
  }
};

// All that a child needs, made before the fork: between fork and exec only async-signal-safe calls are allowed.
struct ChildPlan {
  const char* binary;
  char* const* arguments;
  char* const* environment;
  const char* folder;
  int input, output;
  int go, go_writer, error;  // go: -1 when there is nothing to wait for
  int held;                  // -1: none
  pid_t parent;
  int cpu;          // -1: any
  const RunAs* as;  // null: as we are
  const char *user_map, *group_map;
};

// What a ChildPlan points into.
struct PlanTexts {
  explicit PlanTexts(const Command& command);
  const std::vector<char*> arguments, environment;
  const std::string user_map, group_map;
};

// Without descriptors: those are the caller's to fill in.
ChildPlan PlanOf(const Command& command, const PlanTexts& texts);
[[noreturn]] void RunChild(const ChildPlan& plan);

int OpenInput(const Command& command);
int OpenHeld(const Command& command);  // -1 when there is none, too
// Why it could not be executed, by the errno of exec or of what comes before it.
absl::Status ExecFailure(const Command& command, int error);
absl::Status Failed(const char* what, int error);

}  // namespace lab::bench
