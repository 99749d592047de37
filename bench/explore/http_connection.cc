#include "bench/explore/http_connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr std::chrono::seconds kMostIdle{5};  // the server closes after longer than that
constexpr size_t kMostBytes = 4 << 20;
constexpr size_t kMostHeadBytes = 64 << 10;

}  // namespace

void HttpConnection::Close() {
  socket_.reset();
  received_.clear();
  waiting_ = false;
}

absl::Status HttpConnection::Send(const HttpRequest& request, Clock::time_point deadline) {
  const Clock::time_point now = Clock::now();
  if (waiting_ || now - used_ > kMostIdle) Close();
  if (!socket_) {
    absl::StatusOr<Socket> made = Socket::Connect(kHost, port_, deadline);
    if (!made.ok()) return made.status();
    socket_ = std::move(*made);
  }
  std::string text = Concat(request.method, " ", request.path, " HTTP/1.1\r\nHost: ", kHost, "\r\n");
  if (!request.body.empty() || request.method != "GET") text += Concat("Content-Length: ", request.body.size(), "\r\n");
  for (const auto& [name, value] : request.headers) text += Concat(name, ": ", value, "\r\n");
  text += "\r\n" + request.body;
  absl::Status sent = socket_->Send(text, deadline);
  if (!sent.ok()) {
    Close();
    return sent;
  }
  used_ = now;
  waiting_ = true;
  return absl::OkStatus();
}

// Nothing: it is not all there yet.
absl::StatusOr<std::optional<HttpReply>> HttpConnection::Parse() {
  const size_t head = received_.find("\r\n\r\n");
  if (std::min(head, received_.size()) > kMostHeadBytes) return absl::DataLossError("a head without end");
  if (head == std::string::npos) return std::optional<HttpReply>();
  HttpReply reply;
  if (received_.rfind("HTTP/1.", 0) != 0 || head < 12 || !absl::SimpleAtoi(received_.substr(9, 3), &reply.status)) {
    return absl::DataLossError("not an HTTP answer");
  }
  for (size_t line = received_.find("\r\n") + 2; line < head;) {
    const size_t end = received_.find("\r\n", line);
    const size_t colon = received_.find(':', line);
    if (colon < end) {
      const std::string value = received_.substr(colon + 1, end - colon - 1);
      reply.headers[absl::AsciiStrToLower(received_.substr(line, colon - line))] =
          std::string(absl::StripAsciiWhitespace(value));
    }
    line = end + 2;
  }
  size_t length = 0;
  const auto told = reply.headers.find("content-length");
  if (told == reply.headers.end() || !absl::SimpleAtoi(told->second, &length) || length > kMostBytes) {
    return absl::DataLossError("an answer without a length");
  }
  if (received_.size() < head + 4 + length) return std::optional<HttpReply>();
  reply.body = received_.substr(head + 4, length);
  received_.erase(0, head + 4 + length);
  return std::optional<HttpReply>(std::move(reply));
}

absl::StatusOr<std::optional<HttpReply>> HttpConnection::TryReceive(Clock::time_point until) {
  if (!waiting_ || !socket_) return absl::FailedPreconditionError("nothing was asked on this connection");
  for (;;) {
    absl::StatusOr<std::optional<HttpReply>> reply = Parse();
    if (!reply.ok()) Close();
    if (!reply.ok() || *reply) {
      waiting_ = false;
      used_ = Clock::now();
      return reply;
    }
    const absl::StatusOr<std::string> more = socket_->Receive(until);
    if (absl::IsDeadlineExceeded(more.status())) return std::optional<HttpReply>();
    if (!more.ok() || more->empty()) {
      Close();
      return more.ok() ? absl::UnavailableError("the server closed the connection") : more.status();
    }
    received_ += *more;
  }
}

absl::StatusOr<HttpReply> HttpConnection::Receive(Clock::time_point deadline) {
  absl::StatusOr<std::optional<HttpReply>> reply = TryReceive(deadline);
  if (!reply.ok()) return reply.status();
  if (!*reply) return absl::DeadlineExceededError("no answer in time");
  return **std::move(reply);
}

absl::StatusOr<HttpReply> HttpConnection::Call(const HttpRequest& request, Clock::time_point deadline) {
  if (absl::Status sent = Send(request, deadline); !sent.ok()) return sent;
  return Receive(deadline);
}

}  // namespace lab::bench::explore
