#include "bench/load/http_head.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench {

absl::StatusOr<HttpHead> ParseHttpHead(std::string_view text) {
  HttpHead head;
  const size_t line_end = text.find("\r\n");
  const std::string_view line = text.substr(0, line_end);
  if (line.size() < 12 || !absl::StartsWith(View(line), "HTTP/1.") ||
      !absl::SimpleAtoi(View(line.substr(9, 3)), &head.status)) {
    return absl::InternalError("not an HTTP/1.1 answer");
  }
  bool framed = false;
  while (text.find("\r\n") != std::string_view::npos) {
    text.remove_prefix(text.find("\r\n") + 2);
    const std::string_view field = text.substr(0, text.find("\r\n"));
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos) return absl::InternalError("a header field without colon");
    const absl::string_view name = View(field.substr(0, colon));
    const absl::string_view value = absl::StripAsciiWhitespace(View(field.substr(colon + 1)));
    if (absl::EqualsIgnoreCase(name, "content-length")) {
      framed = absl::SimpleAtoi(value, &head.body_bytes) && head.body_bytes <= kMaxHttpBodyBytes;
      if (!framed) return absl::InternalError("a content-length that cannot be");
    }
    if (absl::EqualsIgnoreCase(name, "connection") && absl::EqualsIgnoreCase(value, "close")) head.close = true;
  }
  if (!framed && head.status != 204 && head.status != 304) head.close = true;
  return head;
}

}  // namespace lab::bench
