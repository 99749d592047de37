#pragma once

#include <string>

#include "services/runtime/base/text.h"
#include "services/runtime/http/server_fixture.h"

namespace lab::cacheapi {

// One request to the service on this port, from another thread than its loop's: the whole answer as text. `headers` as
// lines that end in CR LF.
inline std::string Http(int port, const std::string& method, const std::string& path, const std::string& body = "",
                        const std::string& headers = "") {
  http::RawClient client(port);
  client.Send(Concat(method, " ", path, " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n", headers,
                     "Content-Length: ", body.size(), "\r\n\r\n", body));
  return client.ReadAll();
}

}  // namespace lab::cacheapi
