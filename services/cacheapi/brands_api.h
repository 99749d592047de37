#pragma once

#include "services/cacheapi/brand_creator.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// On the HTTP server, before it starts:
//   POST /v1/brands   {"id": "acme", "name": "Acme"}; 201 with Location when it was made, 200 when it was there
//   already,
//                     409 when there is one of this id with another name. Idempotent by the id: send it again at will.
// 503 when Redis did not take the brand into the filter: nothing has happened then (brand_filter.h).
class BrandsApi {
 public:
  // The creator must outlive the server.
  explicit BrandsApi(BrandCreator& creator) : creator_(creator) {}
  void Register(http::Server& server);

 private:
  void Create(const http::Request& request, http::Server::Respond respond);

  BrandCreator& creator_;
};

}  // namespace lab::cacheapi
