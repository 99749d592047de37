#include "bench/observe/http_get.h"

#include <charconv>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "bench/observe/socket.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

// The declared length of the body, or -1: until the connection closes.
int64_t ContentLength(std::string_view head) {
  const std::string lower = absl::AsciiStrToLower(View(head));
  const size_t at = lower.find("\r\ncontent-length:");
  if (at == std::string::npos) return -1;
  const size_t digits = lower.find_first_not_of(' ', at + sizeof("\r\ncontent-length:") - 1);
  int64_t length = -1;
  if (digits != std::string::npos) std::from_chars(lower.data() + digits, lower.data() + lower.size(), length);
  return length;
}

std::string HeadOf(const std::string& host, int port, const HttpRequest& request) {
  std::string head =
      Concat(request.method, " ", request.path, " HTTP/1.0\r\nHost: ", host, ":", port, "\r\nConnection: close\r\n");
  if (!request.body.empty() || request.method != "GET") {
    head += Concat("Content-Length: ", request.body.size(), "\r\n");
  }
  for (const auto& [name, value] : request.headers) head += Concat(name, ": ", value, "\r\n");
  return head + "\r\n";
}

}  // namespace

absl::StatusOr<HttpAnswer> HttpGet(const std::string& host, int port, const std::string& path, Nanos timeout,
                                   size_t max_bytes) {
  HttpRequest request;
  request.path = path;
  return HttpCall(host, port, request, timeout, max_bytes);
}

absl::StatusOr<HttpAnswer> HttpCall(const std::string& host, int port, const HttpRequest& request, Nanos timeout,
                                    size_t max_bytes) {
  const Clock::time_point deadline = Clock::now() + timeout;
  absl::StatusOr<Socket> socket = Socket::Connect(host, port, deadline);
  if (!socket.ok()) return socket.status();
  if (absl::Status sent = socket->Send(HeadOf(host, port, request) + request.body, deadline); !sent.ok()) return sent;

  std::string bytes;
  size_t body = std::string::npos;
  int64_t length = -1;
  for (;;) {
    if (body != std::string::npos && length >= 0 && bytes.size() - body >= static_cast<size_t>(length)) break;
    absl::StatusOr<std::string> more = socket->Receive(deadline);
    if (!more.ok()) return more.status();
    if (more->empty()) break;
    bytes += *more;
    if (bytes.size() > max_bytes) return absl::DataLossError(Concat("an answer of more than ", max_bytes, " bytes"));
    if (body == std::string::npos) {
      if (const size_t end = bytes.find("\r\n\r\n"); end != std::string::npos) {
        body = end + 4;
        length = ContentLength(std::string_view(bytes).substr(0, end));
      }
    }
  }
  HttpAnswer answer;
  if (body == std::string::npos || bytes.rfind("HTTP/1.", 0) != 0 || bytes.size() < 12 ||
      std::from_chars(bytes.data() + 9, bytes.data() + 12, answer.status).ec != std::errc()) {
    return absl::DataLossError("not an HTTP answer");
  }
  if (length >= 0 && bytes.size() - body < static_cast<size_t>(length)) {
    return absl::DataLossError("the answer breaks off");
  }
  answer.body = bytes.substr(body, length >= 0 ? static_cast<size_t>(length) : std::string::npos);
  return answer;
}

}  // namespace lab::bench
