#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

struct HttpAnswer {
  int status = 0;
  std::string body;
};

struct HttpRequest {
  std::string method = "GET", path = "/", body;
  std::vector<std::pair<std::string, std::string>> headers;  // besides Host, Content-Length and Connection
};

// One request by HTTP/1.0 on a connection of its own. Errors as of Socket; DATA_LOSS for what is not HTTP or is larger
// than `max_bytes`.
absl::StatusOr<HttpAnswer> HttpCall(const std::string& host, int port, const HttpRequest& request, Nanos timeout,
                                    size_t max_bytes = 4 << 20);
absl::StatusOr<HttpAnswer> HttpGet(const std::string& host, int port, const std::string& path, Nanos timeout,
                                   size_t max_bytes = 4 << 20);

}  // namespace lab::bench
