#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/trace.h"

namespace lab::http {

struct Request {
  std::string method;   // "GET"
  std::string path;     // decoded, without the query
  std::map<std::string, std::string> query;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  obs::TraceContext trace;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// Problem details (RFC 9457) as application/problem+json.
Response Problem(int status, std::string_view title, std::string_view detail);
// The HTTP status of an absl code (NOT_FOUND → 404, UNAVAILABLE → 503, …) with its text as problem details.
Response FromStatus(const absl::Status& status);

// A small HTTP/1.1 server on the loop (Boost.Beast) for /metrics, health and the JSON APIs. Keep-alive; bounded in
// connections, header, body and idle time; a client beyond a bound gets 431, 413, 408 or 503 and is closed.
class Server {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;
    size_t max_header_bytes = 8 << 10;
    size_t max_body_bytes = 64 << 10;
    int max_connections = 256;
    Nanos idle_timeout = std::chrono::seconds(30);
    Nanos header_timeout = std::chrono::seconds(5);
  };
  // Answers once, now or later, on the loop's thread. Dropping it unanswered sends 500.
  using Respond = absl::AnyInvocable<void(Response)>;
  using Handler = std::function<void(const Request&, Respond)>;

  Server(async::Loop& loop, Options options);
  ~Server();

  // Exact paths; a path that ends in "/*" takes all below it. Unknown path: 404; known path, other method: 405.
  void Handle(std::string method, std::string path, Handler handler);
  absl::Status Start();
  int port() const;
  // Stops accepting, closes idle connections, lets those in a request end until `deadline`; `done` runs on the loop.
  void Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lab::http
