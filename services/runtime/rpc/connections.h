#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/runtime/async/loop.h"

namespace lab::rpc {

// Accepts the server's connections, and keeps a second descriptor of each so that the segments of a burst of replies
// can be held back until it is complete (TCP_CORK): gRPC writes one reply at a time, and its own descriptor is hidden.
class Connections {
 public:
  // `adopt` takes each new descriptor: connected, non-blocking, TCP_NODELAY. One beyond `most` is closed in order,
  // which is UNAVAILABLE to a client, and `refused`.
  Connections(async::Loop& loop, int most, std::function<void(int)> adopt, std::function<void()> refused);
  ~Connections();

  // Errors name address, cause and remedy.
  absl::Status Listen(const std::string& host, int port);
  int port() const;
  void StopAccepting();
  // Ends every open connection: gRPC waits with a shutdown until its clients have closed theirs, and an idle client may
  // not do that for long.
  void HangUp();

  size_t open() const;
  // Cork holds back what is written until Uncork; both do nothing above kMaxCorked connections, where two system calls
  // for each cost more than the segments they save.
  void Cork();
  void Uncork();
  static constexpr size_t kMaxCorked = 8;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::rpc
