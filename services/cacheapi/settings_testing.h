#pragma once

#include <string>
#include <utility>
#include <vector>

#include "services/cacheapi/config.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/server_fixture.h"

// For tests of the whole service: its settings as a configuration file writes them, and its HTTP port as a client sees
// it.
namespace lab::cacheapi {

using Sets = std::vector<std::pair<std::string, std::string>>;

inline absl::Status Configure(Options& options, const Sets& sets) {
  app::Schema schema;
  Declare(schema, options);
  for (const auto& [path, value] : sets) {
    if (absl::Status wrong = schema.Set(path, value); !wrong.ok()) return wrong;
  }
  return Check(options);
}

// What is said against them; "" when nothing is.
inline std::string Wrong(const Sets& sets) {
  Options options;
  return std::string(Configure(options, sets).message());
}

// From another thread than the loop's: the whole answer as text.
inline std::string Http(int port, const std::string& method, const std::string& path, const std::string& body) {
  http::RawClient client(port);
  client.Send(Concat(method, " ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ", body.size(),
                     "\r\n\r\n", body));
  return client.ReadAll();
}

}  // namespace lab::cacheapi
