#include "bench/load/driver.h"

#include <arpa/inet.h>

#include <utility>

#include "bench/load/grpc_driver.h"
#include "bench/load/http_driver.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

std::string FrameRequest(Protocol protocol, const std::string& path, std::string_view body) {
  if (protocol == Protocol::kHttp) {
    if (path.empty()) return std::string(body);
    return Concat("POST ", path,
                  " HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ", body.size(),
                  "\r\n\r\n", body);
  }
  const uint32_t size = htonl(static_cast<uint32_t>(body.size()));
  std::string framed(1, '\0');  // not compressed
  framed.append(reinterpret_cast<const char*>(&size), sizeof(size));
  return framed.append(body);
}

absl::StatusOr<std::unique_ptr<Driver>> MakeDriver(const Target& target, const std::vector<std::string>& endpoints,
                                                   Poller& poller, CallSink& sink) {
  if (endpoints.empty()) return absl::InvalidArgumentError(Concat("no endpoint for target ", target.name));
  std::vector<Endpoint> parsed;
  for (const std::string& text : endpoints) {
    absl::StatusOr<Endpoint> endpoint = ParseEndpoint(text);
    if (!endpoint.ok()) return endpoint.status();
    parsed.push_back(*std::move(endpoint));
  }
  if (target.protocol == Protocol::kHttp) return std::make_unique<HttpDriver>(poller, sink, std::move(parsed));
  return std::make_unique<GrpcDriver>(poller, sink, target.path, parsed);
}

}  // namespace lab::bench
