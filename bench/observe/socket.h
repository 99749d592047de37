#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// A blocking TCP connection in which every step has a deadline: what probes and scrapes need of a part that may be
// paused, killed or busy. One thread at a time.
// Errors: UNAVAILABLE nobody listens, or the other side closed; DEADLINE_EXCEEDED silence.
class Socket {
 public:
  static absl::StatusOr<Socket> Connect(const std::string& host, int port, Clock::time_point deadline);

  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  absl::Status Send(std::string_view bytes, Clock::time_point deadline);
  // What has come, at most 64 KiB; empty at the end of the stream.
  absl::StatusOr<std::string> Receive(Clock::time_point deadline);
  // Nothing more will be sent; reading goes on.
  void CloseHalf();

 private:
  explicit Socket(int fd) : fd_(fd) {}
  absl::Status Wait(short events, Clock::time_point deadline, const char* what) const;

  int fd_ = -1;
};

}  // namespace lab::bench
