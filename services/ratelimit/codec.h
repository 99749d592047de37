#pragma once

#include "absl/status/status.h"
#include "services/ratelimit/pending.h"

namespace envoy::service::ratelimit::v3 {
class RateLimitRequest;
class RateLimitResponse;
}  // namespace envoy::service::ratelimit::v3

namespace lab::ratelimit {

// What a request may be at most; beyond: RESOURCE_EXHAUSTED.
struct Bounds {
  int max_descriptors = 32;
  int max_entries = 16;      // of a descriptor
  int max_key_bytes = 4096;  // keys and values of a descriptor together
};

// Views of `request` into `question`. An empty domain or no descriptors: INVALID_ARGUMENT.
absl::Status Decode(const envoy::service::ratelimit::v3::RateLimitRequest& request, const Bounds& bounds,
                    Question& question);

// The answer into `response`, which may hold an earlier one: its parts are used again. `headers`: with RateLimit,
// RateLimit-Policy and Retry-After in response_headers_to_add (IETF draft-ietf-httpapi-ratelimit-headers; RFC
// 9110 10.2.3).
void Encode(const Pending& pending, bool headers, envoy::service::ratelimit::v3::RateLimitResponse& response);

}  // namespace lab::ratelimit
