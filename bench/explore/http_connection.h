#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "bench/observe/http_get.h"
#include "bench/observe/socket.h"

namespace lab::bench::explore {

struct HttpReply {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// A connection to one server that is kept from request to request (HTTP/1.1), and on which a request may be left
// waiting for its answer. Errors as of Socket; DATA_LOSS for what is not HTTP. Bodies have a
// Content-Length of at most 4 MiB, heads 64 KiB. One thread
// at a time.
class HttpConnection {
 public:
  explicit HttpConnection(int port) : port_(port) {}

  // Nothing may be waited for. Connects when there is no connection, or when it has been idle for long.
  absl::Status Send(const HttpRequest& request, Clock::time_point deadline);
  // The answer to what was sent.
  absl::StatusOr<HttpReply> Receive(Clock::time_point deadline);
  // The same; nothing when it has not come until then, and it may be asked for again.
  absl::StatusOr<std::optional<HttpReply>> TryReceive(Clock::time_point until);
  absl::StatusOr<HttpReply> Call(const HttpRequest& request, Clock::time_point deadline);
  bool waiting() const { return waiting_; }
  void Close();

 private:
  absl::StatusOr<std::optional<HttpReply>> Parse();

  const int port_;
  std::optional<Socket> socket_;
  std::string received_;
  Clock::time_point used_{};
  bool waiting_ = false;
};

}  // namespace lab::bench::explore
