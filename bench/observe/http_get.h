#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

// GET by HTTP/1.0 on a connection of its own. Errors as of Socket; DATA_LOSS for what is not HTTP or is larger than
// `max_bytes`.
absl::StatusOr<HttpAnswer> HttpGet(const std::string& host, int port, const std::string& path, Nanos timeout,
                                   size_t max_bytes = 4 << 20);

}  // namespace lab::bench
