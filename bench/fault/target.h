#pragma once

#include <sys/types.h>

#include <csignal>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

class HostAccess;

// What a look at a part says, on the path that its clients use.
enum class Look {
  kAnswers,
  kRefused,  // nobody listens, or the connection was closed at once
  kSilent,   // connected, or connecting, and no answer in time
};

// A running part as faults see it; the runner implements it (bench/run/part.h). Thread-safe.
class FaultTarget {
 public:
  virtual ~FaultTarget() = default;
  virtual const std::string& name() const = 0;          // "redis"
  virtual const std::string& kind() const = 0;          // "redis"
  virtual pid_t pid() const = 0;                        // -1: not running
  virtual int port(const std::string& name) const = 0;  // 0: no such port

  // One question to the part by its usual path, answered within `timeout` or not.
  virtual Look Ask(Nanos timeout) = 0;

  // From now on the end of the process is the fault's doing and no reason to mistrust the trial.
  virtual void ExpectEnd() = 0;
  // What asks it to end at once and in order: of a PostgreSQL SIGINT, because SIGTERM lets its clients stay.
  virtual int end_signal() const { return SIGTERM; }
  // To the process and its whole group; SIGSTOP, SIGCONT and SIGKILL to all that descend from it too.
  virtual absl::Status Signal(int signal) = 0;
  // Whether the process has ended, waiting for it at most that long.
  virtual bool WaitEnd(Nanos timeout) = 0;
  // Starts it again after its end, on the same ports; does not wait until it is ready. Nothing when it runs.
  virtual absl::Status Restart(bool keep_data) = 0;

  // What faults of the host need of whoever runs the part (host_access.h); null: there are none on it.
  virtual HostAccess* host() { return nullptr; }
};

}  // namespace lab::bench
