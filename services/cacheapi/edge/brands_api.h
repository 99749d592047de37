#pragma once

#include "services/cacheapi/edge/api.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// On the HTTP server, before it starts:
//   POST /v1/brands   {"id": "acme", "name": "Acme"}; 201 with Location when it was made, 200 when it was there, 409
//                     when there is one of this id with another name
// Idempotent by the id: send it again at will. 503: nothing has happened, also when Redis did not take the brand into
// the filter (brand_filter.h); 504: it may have happened. X-Tenant and X-Actor as in http_api.h.
class BrandsApi {
 public:
  // Both must outlive the server.
  BrandsApi(Api& api, obs::Tracer& tracer) : api_(api), tracer_(tracer) {}
  void Register(http::Server& server);

 private:
  void Create(const http::Request& request, http::Server::Respond respond);

  Api& api_;
  obs::Tracer& tracer_;
};

}  // namespace lab::cacheapi
