#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/trace.h"

namespace google::protobuf {
class MessageLite;
}

namespace lab::failpoint {
class Controller;
}

namespace lab::obs {
class Metrics;
}

namespace lab::rpc {

class Queue;

// Where a client counts.
struct MeteredAs {
  obs::Metrics* metrics = nullptr;  // null: nowhere; must outlive the client
  std::string name;                 // label `client`: whom it calls
};

// A unary gRPC client on the loop, with a connection of its own. Every call has a deadline, never later than the one of
// the call it serves. Used on the loop's thread only. A connection that was lost is tried again after 50 ms to 1 s;
// until then calls are UNAVAILABLE at once. With metrics, by `client`:
//   rpc_client_calls_total{client,outcome=ok|timeout|unavailable|error}
//   rpc_client_duration_seconds{client}, rpc_client_in_flight{client}
class Client {
 public:
  // "127.0.0.1:8081" or any gRPC target. `queue` is that of the loop: Server::queue() where there is a server, else one
  // made for the clients. `failpoints`, which act on calls, outlive the client; null: none.
  Client(Queue& queue, std::string target, obs::Tracer& tracer, failpoint::Controller* failpoints = nullptr,
         const MeteredAs& metered = {});
  // Cancels the calls that are left; their `done` runs with CANCELLED before this returns.
  ~Client();

  // `reply` must live until `done`, which runs exactly once, on the loop, never inside Call. Status codes are gRPC's:
  // DEADLINE_EXCEEDED and CANCELLED are unknown (it may have happened), and so is UNAVAILABLE, which gRPC gives both
  // before the request was sent and when the connection broke after. `method` is a literal, "/package.Service/Method",
  // and the name of the span. The trace context goes with the call as `traceparent`.
  void Call(std::string_view method, const google::protobuf::MessageLite& request, google::protobuf::MessageLite* reply,
            Clock::time_point deadline, const obs::TraceContext& parent, absl::AnyInvocable<void(absl::Status)> done);

  size_t in_flight() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::rpc
