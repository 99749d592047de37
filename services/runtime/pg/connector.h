#pragma once

#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/runtime/async/host_resolver.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"

namespace lab::pg {

struct FinishConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using ConnectionPtr = std::unique_ptr<PGconn, FinishConnection>;

// Whom to connect to, and as whom.
struct Target {
  std::string host;  // a name, an address, or the folder of a Unix socket
  int port = 5432;
  std::string database, user, password;
  std::string name;      // application_name
  std::string settings;  // of the session: "-c statement_timeout=250"
  bool replication = false;
  std::string text() const;  // "127.0.0.1:5432/insights"
};

// Makes connections without blocking the loop. Private to this folder.
class Connector : public std::enable_shared_from_this<Connector> {
 public:
  // A connection that stands, in non-blocking mode. FAILED_PRECONDITION: the server refuses us, in plain words (the
  // password, the database); UNAVAILABLE, DEADLINE_EXCEEDED otherwise.
  using Callback = absl::AnyInvocable<void(absl::StatusOr<ConnectionPtr>)>;

  explicit Connector(async::Loop& loop);
  // One at a time. The callback never runs inside this call.
  void Connect(const Target& target, Nanos timeout, Callback callback);
  // The callback is not called any more.
  void Cancel();

 private:
  void Resolved(const std::string& address);
  void Watch(boost::asio::posix::stream_descriptor::wait_type what);
  void Poll();
  void Fail(std::string why);
  void End(absl::StatusOr<ConnectionPtr> result);

  async::HostResolver resolver_;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  Target target_;
  Callback callback_;
  ConnectionPtr connection_;
  Clock::time_point late_at_{};
  uint64_t attempt_ = 0;  // handlers of an older one do nothing
};

}  // namespace lab::pg
