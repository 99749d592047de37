#pragma once

#include <string>
#include <string_view>

#include "services/cacheapi/reader.h"
#include "services/cacheapi/writer.h"
#include "services/runtime/base/random.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// On the HTTP server, before it starts (openapi.yaml says the same to machines):
//   GET    /v1/brands/{brand}/insights?window=24h   200 with ETag, Age, Cache-Control; 304 to If-None-Match; 404
//   PUT    /v1/brands/{brand}/correction            {"posts": 5, "note": "…"}; 200 with the version that it made, or
//                                                   202 when it waits to be applied (write_behind)
//   DELETE /v1/brands/{brand}/correction
// A write with an Idempotency-Key is applied once, however often it is sent. Every answer of a brand says how it came
// about: X-Cache hit | miss | stale | coalesced | error, X-Cache-Tier l1 | l2, X-Version. Errors are problem+json.
// With `X-Actor` and a gate, the request is held at each of its steps.
class HttpApi {
 public:
  struct Options {
    Nanos deadline = Millis(1000);
    Nanos stale_for = Nanos(0);  // told to caches before us as stale-while-revalidate
  };
  // What it is given must outlive the server.
  HttpApi(Reader& reader, Writer& writer, Options options, uint64_t seed);
  void Register(http::Server& server);

 private:
  void Get(const http::Request& request, http::Server::Respond respond);
  void Write(const http::Request& request, bool remove, http::Server::Respond respond);

  Reader& reader_;
  Writer& writer_;
  const Options options_;
  Random random_;
};

// W/"v12-24h": weak, because the window moves on while the version stays.
std::string EntityTag(uint64_t version, Window window);
// Whether an If-None-Match names this tag (RFC 9110, 13.1.2: by weak comparison).
bool Matches(std::string_view if_none_match, std::string_view tag);

}  // namespace lab::cacheapi
