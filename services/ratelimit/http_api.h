#pragma once

#include "services/ratelimit/codec.h"
#include "services/ratelimit/limiter.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/http/server.h"

namespace lab::ratelimit {

// On the HTTP server, before it starts:
//   POST /json            a RateLimitRequest in proto3 JSON → a RateLimitResponse in proto3 JSON. 200 passes, 429 is
//   over
//                         limit, 503 is denied by policy because the store failed, 400 is no question (problem+json)
//   GET  /debug/hot-keys  the most asked keys
//   GET  /debug/rules     the rules in force
// `limiter` and `metrics` must outlive the server.
void AddHttpApi(http::Server& server, async::Loop& loop, Limiter& limiter, Metrics& metrics, const Bounds& bounds);

}  // namespace lab::ratelimit
