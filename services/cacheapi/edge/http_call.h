#pragma once

#include <utility>

#include "services/cacheapi/edge/api.h"
#include "services/runtime/http/server.h"

namespace lab::cacheapi {

// What every request over HTTP has in common. Views into the request.
inline Caller CallerOf(const http::Request& request) {
  return {request.Header("x-tenant"), request.Header("x-actor"), Clock::time_point::max(), request.trace};
}

// The fields of the tenant's rate limit.
inline void AddLimit(LimiterClient::Fields& fields, http::Response& response) {
  for (auto& field : fields) response.headers.push_back(std::move(field));
}

}  // namespace lab::cacheapi
