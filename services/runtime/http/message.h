#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "services/runtime/http/server.h"

namespace lab::http {

struct Target {
  std::string path;
  std::map<std::string, std::string> query;
};

// The request target of RFC 9112, 3.2: "/a%20b?c=d" or "http://host/a". Nothing for a bad escape, a zero byte or a form
// that is neither.
std::optional<Target> ParseTarget(std::string_view text);

// The bytes of a response. `head`: with the length of the body but without it. Line breaks in header values, which
// would forge a header, become blanks.
std::string Serialize(const Response& response, bool keep_alive, bool head);

// 503 to one connection more than the bound.
Response TooManyConnections(int bound);

}  // namespace lab::http
