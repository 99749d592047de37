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

namespace lab::obs {
class Metrics;
}

namespace lab::http {

class Connection;
class Core;

struct Request {
  std::string method;                                        // "GET"; "HEAD" where a GET route answers it
  std::string path;                                          // decoded, without the query
  std::map<std::string, std::string> query;                  // decoded; the first of equal names
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  obs::TraceContext trace;  // of the traceparent header; invalid without one

  // The value of a header by its name in lower case, or "".
  std::string_view Header(std::string_view name) const;
};

// The body of an answer that goes on, server-sent events for instance: written piece by piece, ended by the end of the
// connection. On the loop's thread; may outlive the connection and the server, and does nothing then.
class Stream {
 public:
  explicit Stream(std::weak_ptr<Connection> connection) : connection_(std::move(connection)) {}
  // False when the connection is over, or when this makes more than `max_stream_bytes` wait to be sent: a client that
  // reads too slowly is closed.
  bool Write(std::string bytes);
  size_t unsent() const;  // bytes
  bool open() const;
  void Close();
  // Called whenever everything written has been handed to the system. It may hold the stream.
  void OnSent(absl::AnyInvocable<void()> callback);
  // Called once, when the connection is over for whatever reason.
  void OnEnd(absl::AnyInvocable<void()> callback);

 private:
  std::weak_ptr<Connection> connection_;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  // When set, the body goes on through the stream that it is given; `body` is its beginning.
  std::function<void(std::shared_ptr<Stream>)> stream;
};

// Problem details (RFC 9457) as application/problem+json.
Response Problem(int status, std::string_view title, std::string_view detail);
// The HTTP status of an absl code (NOT_FOUND → 404, UNAVAILABLE → 503, …) with its text as problem details.
Response FromStatus(const absl::Status& status);

// A small HTTP/1.1 server on the loop (RFC 9112; parsed by Boost.Beast) for /metrics, health and the JSON APIs.
// Keep-alive; pipelined requests are answered in order, one at a time; HEAD is answered by GET routes. A client beyond
// a bound gets 431, 413, 408 or 503 as problem details and is closed. All of it runs on the loop's thread.
class Server {
 public:
  struct Options {
    std::string host = "127.0.0.1";
    int port = 0;
    size_t max_header_bytes = 8 << 10;
    size_t max_body_bytes = 64 << 10;
    int max_connections = 256;  // beyond: the oldest without a complete request is closed; if there is none, 503
    size_t max_stream_bytes = 256 << 10;             // written to a stream and not taken by its client
    Nanos idle_timeout = std::chrono::seconds(30);   // between requests; also for a body, and for writing a response
    Nanos header_timeout = std::chrono::seconds(5);  // from the first byte (or the connect) to the end of the headers
    // With it: http_requests_total{code}, http_request_duration_seconds, http_open_connections,
    // http_refused_connections_total, http_shed_connections_total. Must outlive the server.
    obs::Metrics* metrics = nullptr;
  };
  // Answers once, now or later, on the loop's thread; it may outlive the server (and does nothing then) but not the
  // loop. Dropping it unanswered sends 500, as does a handler that throws.
  using Respond = absl::AnyInvocable<void(Response)>;
  using Handler = std::function<void(const Request&, Respond)>;

  Server(async::Loop& loop, Options options);
  ~Server();

  // Exact paths; a path that ends in "/*" takes all below it, the longest first. Unknown path: 404; known path, other
  // method: 405. Before or after Start, on the loop's thread.
  void Handle(std::string method, std::string path, Handler handler);
  // Listens; UNAVAILABLE with host and port when it cannot. `host` is an address or "localhost".
  absl::Status Start();
  int port() const;  // that was got, after Start
  // Stops accepting, closes idle connections, lets those in a request end until `deadline`; `done` runs on the loop.
  void Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done);

 private:
  std::shared_ptr<Core> core_;  // connections share it while their callbacks are in flight
};

}  // namespace lab::http
