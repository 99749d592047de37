#pragma once

#include <string_view>

#include "services/runtime/http/server.h"
#include "services/runtime/obs/trace.h"

namespace lab::http {

// The handler with a server span around each request that is sampled: from the call until it has answered; a child of
// the request's traceparent, else a root sampled by ratio. The handler finds the span's context in Request::trace.
// `name` is a literal; the tracer must outlive the server.
Server::Handler Traced(obs::Tracer& tracer, std::string_view name, Server::Handler handler);

}  // namespace lab::http
