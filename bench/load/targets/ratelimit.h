#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/load/target.h"

namespace lab::bench {

// envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit.
Target RateLimitGrpcTarget();
// POST /json of the same service: 200 is admitted, 429 limited.
Target RateLimitHttpTarget();

// The request that both send, before it is written as protobuf or JSON.
struct RateLimitRequest {
  using Entry = std::pair<std::string, std::string>;  // key, value
  std::string domain;
  std::vector<std::vector<Entry>> descriptors;
  uint32_t hits = 0;
};

// A request in which each "{key}" of a value stands for the key of the arrival.
class RateLimitTemplate {
 public:
  static std::vector<RequestField> Fields();
  static absl::StatusOr<RateLimitTemplate> Read(const RequestFields& fields);
  RateLimitRequest For(uint32_t key) const;

 private:
  RateLimitRequest request_;
  std::string value_prefix_;
};

}  // namespace lab::bench
