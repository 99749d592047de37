#pragma once

#include <string_view>

#include "services/cacheapi/edge/api.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// On the HTTP server, before it starts (openapi.json says the same to machines, and is served at /openapi.json):
//   GET    /v1/brands/{brand}/insights?window=24h   200 with ETag, Age, Cache-Control; 304 to If-None-Match; 404
//   PUT    /v1/brands/{brand}/correction            {"posts": 5, "note": "…"}; 200 with the version that it made, or
//                                                   202 when it waits to be applied (write_behind)
//   DELETE /v1/brands/{brand}/correction
// A write with an Idempotency-Key is applied once, however often it is sent. Every answer of a brand says how it came
// about: X-Cache hit | miss | stale | coalesced | error, X-Cache-Tier l1 | l2 | bloom, X-Version. Errors are
// problem+json. X-Tenant says whose rate limit counts: 429 over it, with the limiter's RateLimit fields. With X-Actor
// and a gate, the request is held at each of its steps (gate_api.h).
class HttpApi {
 public:
  // What it is given must outlive the server.
  HttpApi(Api& api, obs::Tracer& tracer) : api_(api), tracer_(tracer) {}
  void Register(http::Server& server);

 private:
  void Get(const http::Request& request, http::Server::Respond respond);
  void Write(const http::Request& request, bool remove, http::Server::Respond respond);
  static http::Response ToResponse(Api::Read read, std::string_view if_none_match);

  Api& api_;
  obs::Tracer& tracer_;
};

}  // namespace lab::cacheapi
