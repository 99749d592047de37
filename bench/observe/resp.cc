#include "bench/observe/resp.h"

#include <charconv>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int kMaxDepth = 8;
constexpr size_t kMaxBytes = 16 << 20;

absl::Status Broken(const char* what) { return absl::DataLossError(Concat("not the Redis protocol: ", what)); }

// The line from `at` without its CRLF; moves `at` behind it.
std::optional<std::string_view> Line(std::string_view bytes, size_t* at) {
  const size_t end = bytes.find("\r\n", *at);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = bytes.substr(*at, end - *at);
  *at = end + 2;
  return line;
}

absl::StatusOr<std::optional<RespValue>> Parse(std::string_view bytes, size_t* at, int depth) {
  if (depth > kMaxDepth) return Broken("nested too deeply");
  const std::optional<std::string_view> line = Line(bytes, at);
  if (!line) return std::optional<RespValue>();
  if (line->empty()) return Broken("an empty line");
  RespValue value;
  const char type = line->front();
  const std::string_view rest = line->substr(1);
  if (type == '+' || type == '-') {
    value.kind = type == '+' ? RespValue::Kind::kText : RespValue::Kind::kError;
    value.text = std::string(rest);
    return std::optional(std::move(value));
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  if (error != std::errc() || end != rest.data() + rest.size()) return Broken("a number is needed");
  if (type == ':') {
    value.kind = RespValue::Kind::kInteger;
    value.integer = number;
    return std::optional(std::move(value));
  }
  if (type != '$' && type != '*') return Broken("an unknown type");
  if (number < 0) return std::optional(std::move(value));
  if (static_cast<size_t>(number) > kMaxBytes) return Broken("too large");
  if (type == '$') {
    const size_t size = static_cast<size_t>(number);
    if (bytes.size() - *at < size + 2) return std::optional<RespValue>();
    value.kind = RespValue::Kind::kText;
    value.text = std::string(bytes.substr(*at, size));
    *at += size + 2;
    return std::optional(std::move(value));
  }
  value.kind = RespValue::Kind::kArray;
  for (int64_t i = 0; i < number; ++i) {
    absl::StatusOr<std::optional<RespValue>> item = Parse(bytes, at, depth + 1);
    if (!item.ok() || !*item) return item;
    value.items.push_back(std::move(**item));
  }
  return std::optional(std::move(value));
}

}  // namespace

absl::StatusOr<std::optional<RespValue>> ParseResp(std::string_view bytes, size_t* used) {
  size_t at = *used;
  absl::StatusOr<std::optional<RespValue>> value = Parse(bytes, &at, 0);
  if (value.ok() && *value) *used = at;
  return value;
}

std::string FormatRespCommand(const std::vector<std::string>& arguments) {
  std::string text = Concat("*", arguments.size(), "\r\n");
  for (const std::string& argument : arguments) text += Concat("$", argument.size(), "\r\n", argument, "\r\n");
  return text;
}

absl::Status RespConnection::Open(Clock::time_point deadline) {
  if (socket_) return absl::OkStatus();
  absl::StatusOr<Socket> made = Socket::Connect(host_, port_, deadline);
  if (!made.ok()) return made.status();
  socket_ = std::move(*made);
  return absl::OkStatus();
}

absl::Status RespConnection::Send(const std::vector<std::string>& arguments, Nanos timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  absl::Status status = Open(deadline);
  if (status.ok()) status = socket_->Send(FormatRespCommand(arguments), deadline);
  if (!status.ok()) Close();
  return status;
}

absl::StatusOr<RespValue> RespConnection::Read(Clock::time_point deadline) {
  std::string bytes;
  for (;;) {
    size_t used = 0;
    absl::StatusOr<std::optional<RespValue>> value = ParseResp(bytes, &used);
    if (!value.ok()) return value.status();
    if (*value) return std::move(**value);
    if (bytes.size() > kMaxBytes) return Broken("too large");
    absl::StatusOr<std::string> more = socket_->Receive(deadline);
    if (!more.ok()) return more.status();
    if (more->empty()) return absl::UnavailableError("the server closed the connection");
    bytes += *more;
  }
}

absl::StatusOr<RespValue> RespConnection::Command(const std::vector<std::string>& arguments, Nanos timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  // A connection kept from before may have been closed by a restart of the server: then, once, a new one.
  for (bool kept = socket_.has_value();; kept = false) {
    absl::Status status = Send(arguments, deadline - Clock::now());
    if (status.ok()) {
      absl::StatusOr<RespValue> reply = Read(deadline);
      if (reply.ok()) return reply;
      status = reply.status();
    }
    Close();
    if (!kept || !absl::IsUnavailable(status)) return status;
  }
}

}  // namespace lab::bench
