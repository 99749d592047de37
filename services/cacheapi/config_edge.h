#pragma once

#include "services/cacheapi/limiter/limiter_client.h"
#include "services/runtime/app/config.h"
#include "services/runtime/rpc/server.h"

namespace lab::cacheapi {

// Of the process, what concerns its edges. (HTTP's own fields are the app's.)
struct EdgeOptions {
  bool grpc_enabled = true;
  rpc::Server::Options grpc{.port = 8082};
  LimiterClient::Options limiter;
};

// Declares grpc.* and ratelimit.*; `options` must outlive `schema`.
void DeclareEdge(app::Schema& schema, EdgeOptions& options);

}  // namespace lab::cacheapi
