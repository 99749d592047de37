#pragma once

#include <grpcpp/server_context.h>

#include <string_view>

#include "services/runtime/obs/trace.h"

namespace lab::rpc {

inline constexpr char kTraceparent[] = "traceparent";

// What the caller sent under this name (in lower case); "" when it sent none, the first of several. Lives as long as
// the context.
std::string_view MetadataOf(const grpc::ServerContext& context, std::string_view name);
// The caller's trace context; an invalid one when it sent none.
obs::TraceContext TraceparentOf(const grpc::ServerContext& context);

}  // namespace lab::rpc
