#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/trace.h"

namespace google::protobuf {
class MessageLite;
}

namespace lab::rpc {

// A unary gRPC client on the loop. Every call has a deadline, never later than the one of the call it serves.
class Client {
 public:
  // "127.0.0.1:8081" or any gRPC target.
  Client(async::Loop& loop, std::string target, obs::Tracer& tracer);
  ~Client();

  // `reply` must live until `done`, which runs exactly once, on the loop, never inside Call. Status codes are gRPC's;
  // UNAVAILABLE before the request was sent is definite, DEADLINE_EXCEEDED is unknown.
  void Call(std::string_view method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite* reply, Clock::time_point deadline, const obs::TraceContext& parent,
            absl::AnyInvocable<void(absl::Status)> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::rpc
