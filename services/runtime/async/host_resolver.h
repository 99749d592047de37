#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::async {

// Names of hosts to addresses without blocking the loop: Asio resolves on a thread of its own. What that thread posts
// does not wake a loop that sleeps outside Asio (loop.h), so a timer looks after it meanwhile.
class HostResolver {
 public:
  // The address ("10.0.0.7", "::1"), UNAVAILABLE, or DEADLINE_EXCEEDED.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;

  explicit HostResolver(boost::asio::io_context& io);
  ~HostResolver();  // the callback of a Resolve that goes on is never called
  HostResolver(const HostResolver&) = delete;
  HostResolver& operator=(const HostResolver&) = delete;

  // Whether `host` is an address already.
  static bool IsAddress(const std::string& host);
  // One at a time; a new one takes the place of one that goes on.
  void Resolve(const std::string& host, Nanos deadline, Callback callback);
  void Cancel();

 private:
  struct Attempt;
  boost::asio::io_context& io_;
  std::shared_ptr<Attempt> attempt_;  // shared with handlers in flight, which do nothing once it is abandoned
};

}  // namespace lab::async
