#pragma once

#include <cstddef>
#include <string_view>

#include "absl/status/statusor.h"

namespace lab::bench {

inline constexpr size_t kMaxHttpBodyBytes = 1 << 20;

// The head of an HTTP/1.1 answer, as far as a client that reads whole bodies needs it (RFC 9112).
struct HttpHead {
  int status = 0;
  size_t body_bytes = 0;
  bool close = false;  // the connection ends with this answer
};

// `text` is the head without its empty line. INTERNAL for what is not one, or announces more than kMaxHttpBodyBytes.
absl::StatusOr<HttpHead> ParseHttpHead(std::string_view text);

}  // namespace lab::bench
