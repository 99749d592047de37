#pragma once

#include <grpcpp/server_context.h>

#include "services/runtime/obs/trace.h"

namespace lab::rpc {

inline constexpr char kTraceparent[] = "traceparent";

// The caller's trace context; an invalid one when it sent none.
obs::TraceContext TraceparentOf(const grpc::ServerContext& context);

}  // namespace lab::rpc
