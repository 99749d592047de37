#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"

namespace google::protobuf {
class MessageLite;
}

namespace lab::rpc {

class Queue;

// One unary call that is being served. It ends exactly once, by Reply or Fail; what the transport still needs lives on
// until the transport is done with it. A handle that may be copied; used on the loop's thread only, while its server
// lives. An answer that comes after the server has given the call up (Drain past its deadline) is dropped.
class Call {
 public:
  // False, and the call has been failed with INVALID_ARGUMENT, when the bytes are not this message (a handler just
  // returns then).
  bool Parse(google::protobuf::MessageLite* message);
  // Valid until the call is answered, like deadline and trace.
  size_t request_bytes() const;
  Clock::time_point deadline() const;      // of the client; far in the future when it sent none
  const obs::TraceContext& trace() const;  // of this call's own span
  // What the client sent under this name (lower case); "" when it sent none. Bytes of a stranger, not checked.
  std::string_view Metadata(std::string_view name) const;
  // Goes to the client with the status, whatever that is; before Reply or Fail. `name` in lower case. What HTTP/2 does
  // not carry as text (a name that is no token, a value beyond printable ASCII) is left out: gRPC would end the
  // process.
  void AddTrailer(std::string name, std::string value);
  // Encodes now, leaves at the end of the turn: `message` may be reused at once.
  void Reply(const google::protobuf::MessageLite& message);
  void Fail(const absl::Status& status);  // the text reaches the client; an OK status is sent as UNKNOWN

  struct State;
  explicit Call(State* state);

 private:
  bool alive() const;
  State* state_;
  uint32_t generation_;  // states are reused: tells this call from the next one
};

// A unary gRPC server on the loop: one thread drains the completion queue, runs handlers and stores, and writes the
// replies of a turn in one burst. Plaintext HTTP/2 on loopback or inside a pod; TLS belongs to the proxy in front.
// Also serves grpc.health.v1 (Check, and Watch as UNIMPLEMENTED, which clients take as "no watching") and
// reflection of the registered services; neither is counted in the metrics:
//   rpc_server_calls_total{code}      answered calls
//   rpc_server_duration_seconds       from the turn that took the call to the one that answers it
//   rpc_server_in_flight              calls not yet done with, those waiting for the transport included
//   rpc_server_connections            open ones
//   rpc_server_refused_connections_total
//   rpc_server_unread_replies_total   calls given up because their client did not take the reply
//   rpc_server_received_bytes_total, rpc_server_sent_bytes_total   messages, without HTTP/2
class Server {
 public:
  struct Options {
    std::string host = "127.0.0.1";    // IPv4 address
    int port = 0;                      // 0: any free one
    int pre_posted = 64;               // requests waiting in the queue for a call
    int max_message_bytes = 64 << 10;  // larger: RESOURCE_EXHAUSTED
    int max_in_flight = 4096;          // more: RESOURCE_EXHAUSTED at once
    int max_connections = 1024;        // more: closed, which is UNAVAILABLE to a client
    bool cork = true;                  // one segment a burst of replies
    // A client that has not taken its reply by then (a window of HTTP/2 that stays shut) has its call reset: else it
    // would be in flight for ever. Looked at twice in that time.
    Nanos reply_timeout = std::chrono::seconds(30);
  };
  // Takes the call and may keep it until it is answered. Never sees a call whose deadline was over on arrival: that one
  // ends with DEADLINE_EXCEEDED.
  using Handler = std::function<void(Call)>;

  // With a queue of its own on the loop, or on one that outlives it and that clients share.
  Server(async::Loop& loop, Options options, obs::Metrics& metrics, obs::Tracer& tracer);
  Server(Queue& queue, Options options, obs::Metrics& metrics, obs::Tracer& tracer);
  // Without a Drain before, calls in flight are cancelled. No handler runs in it: calls that still come fail with
  // UNAVAILABLE. On the loop's thread, or after Run has returned.
  ~Server();

  // "/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit". Before Start. `span` is a literal, the span's name.
  void Register(std::string method, std::string_view span, Handler handler);
  // An error that names host, port and the remedy when the port is taken.
  absl::Status Start();
  int port() const;
  // What health checks answer.
  void SetServing(bool serving);
  // Once. Refuses new calls, lets those in flight end until `deadline`, then cancels them; `done` runs on the loop, and
  // may destroy the server. The order is that of the queue: stop asking, Shutdown, drain, and only then shut the queue
  // down.
  void Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done);
  size_t in_flight() const;
  Queue& queue();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::rpc
