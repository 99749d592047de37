#include "services/runtime/http/message.h"

#include <algorithm>
#include <boost/beast/http/status.hpp>
#include <ctime>

#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::http {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> Decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    char c = text[at];
    if (c == '%') {
      if (at + 2 >= text.size()) return std::nullopt;
      const int high = HexDigit(text[at + 1]), low = HexDigit(text[at + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high << 4 | low);
      at += 2;
    } else if (c == '+' && plus_is_blank) {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

std::string_view ReasonOf(int status) {
  const auto known = boost::beast::http::int_to_status(static_cast<unsigned>(std::clamp(status, 0, 999)));
  const auto reason = boost::beast::http::obsolete_reason(known);
  return {reason.data(), reason.size()};
}

std::string Date() {
  const time_t now = time(nullptr);
  tm utc{};
  gmtime_r(&now, &utc);
  char text[40];
  const size_t size = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return std::string(text, size);
}

void AppendHeader(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  out += "\r\n";
}

}  // namespace

std::string_view Request::Header(std::string_view name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) return value;
  }
  return "";
}

std::optional<Target> ParseTarget(std::string_view text) {
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos && text.front() != '/') {
    const size_t slash = text.find_first_of("/?", scheme + 3);
    text = slash == std::string_view::npos ? "/" : text.substr(slash);
  }
  if (text.empty() || text.front() != '/') return std::nullopt;
  const size_t mark = text.find('?');
  std::optional<std::string> path = Decode(text.substr(0, mark), false);
  if (!path) return std::nullopt;
  Target target{std::move(*path), {}};
  std::string_view rest = mark == std::string_view::npos ? "" : text.substr(mark + 1);
  while (!rest.empty()) {
    const size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    std::optional<std::string> name = Decode(pair.substr(0, equals), true);
    std::optional<std::string> value = Decode(equals == std::string_view::npos ? "" : pair.substr(equals + 1), true);
    if (!name || !value) return std::nullopt;
    target.query.emplace(std::move(*name), std::move(*value));
  }
  return target;
}

std::string Serialize(const Response& response, bool keep_alive, bool head) {
  std::string out = Concat("HTTP/1.1 ", response.status, " ", ReasonOf(response.status), "\r\n");
  AppendHeader(out, "Date", Date());
  // RFC 9110, 8.6 and 15.3.5: no length and no content type where there can be no body.
  const bool bodiless = response.status < 200 || response.status == 204 || response.status == 304;
  if (!bodiless) {
    if (!response.stream) AppendHeader(out, "Content-Length", std::to_string(response.body.size()));
    if (!response.content_type.empty()) AppendHeader(out, "Content-Type", response.content_type);
  }
  for (const auto& [name, value] : response.headers) AppendHeader(out, name, value);
  AppendHeader(out, "Connection", keep_alive ? "keep-alive" : "close");
  out += "\r\n";
  if (!head && !bodiless) out += response.body;
  return out;
}

Response Problem(int status, std::string_view title, std::string_view detail) {
  Response response;
  response.status = status;
  response.content_type = "application/problem+json";
  response.body = Concat("{\"type\":\"about:blank\",\"status\":", status, ",\"title\":", JsonString(title),
                         ",\"detail\":", JsonString(detail), "}\n");
  return response;
}

Response TooManyConnections(int bound) {
  return Problem(503, "too many connections", Concat("this server serves ", bound, " connections; try again later"));
}

Response FromStatus(const absl::Status& status) {
  const auto code = [&status] {
    switch (status.code()) {
      case absl::StatusCode::kOk:
        return 200;
      case absl::StatusCode::kInvalidArgument:
      case absl::StatusCode::kOutOfRange:
      case absl::StatusCode::kFailedPrecondition:
        return 400;
      case absl::StatusCode::kUnauthenticated:
        return 401;
      case absl::StatusCode::kPermissionDenied:
        return 403;
      case absl::StatusCode::kNotFound:
        return 404;
      case absl::StatusCode::kAlreadyExists:
      case absl::StatusCode::kAborted:
        return 409;
      case absl::StatusCode::kResourceExhausted:
        return 429;
      case absl::StatusCode::kCancelled:
        return 499;
      case absl::StatusCode::kUnimplemented:
        return 501;
      case absl::StatusCode::kUnavailable:
        return 503;
      case absl::StatusCode::kDeadlineExceeded:
        return 504;
      default:
        return 500;
    }
  }();
  if (status.ok()) return Response();
  const std::string name = absl::StatusCodeToString(status.code());
  return Problem(code, name, std::string_view(status.message().data(), status.message().size()));
}

}  // namespace lab::http
