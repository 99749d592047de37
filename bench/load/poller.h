#pragma once

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"

namespace lab::bench {

// CLOCK_MONOTONIC in nanoseconds, the time base of everything that sends and receives here.
int64_t MonotonicNow();

// epoll with a timeout in nanoseconds (epoll_pwait2), on one thread; only Wake may be called from others. The
// constructor throws where the process has no descriptor left; nothing else does.
class Poller {
 public:
  class Handler {
   public:
    virtual ~Handler() = default;
    // EPOLL… bits. The handler may remove and close its own descriptor, no other.
    virtual void Ready(uint32_t events) = 0;
  };

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  // Errors: RESOURCE_EXHAUSTED when the kernel does not take the descriptor, with its reason.
  absl::Status Add(int fd, uint32_t events, Handler* handler);
  absl::Status Change(int fd, uint32_t events, Handler* handler);
  void Remove(int fd);
  // Waits at most `timeout_ns` (0: only looks), then calls the handlers of what is ready.
  void Wait(int64_t timeout_ns);
  // Sleeps at most `timeout_ns`, whatever becomes ready meanwhile.
  void Sleep(int64_t timeout_ns);
  // Ends the current or next Wait or Sleep; any thread.
  void Wake();

 private:
  int epoll_ = -1;
  int wake_ = -1;
};

}  // namespace lab::bench
