#include "bench/load/http_link.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxHeadBytes = 16 << 10;
constexpr size_t kMaxBodyBytes = 1 << 20;

}  // namespace

HttpLink::HttpLink(LinkContext& context, const Endpoint& endpoint) : Link(context, endpoint) {}

void HttpLink::Send(Call& call) {
  call.written = 0;
  Attach(call);
  if (!up()) return;
  out_.append(call.request);
  call.written = call.request.size();
  MarkDirty();
}

void HttpLink::Forget(Call& call) {
  Detach(call);
  Lose("timed out", 0);
}

void HttpLink::Opened() {
  ResetBackoff();
  for (Call* call : calls_) {
    out_.append(call->request);
    call->written = call->request.size();
  }
}

absl::Status HttpLink::Received(std::string_view bytes, int64_t at) {
  in_.append(bytes);
  if (in_flight() == 0) return absl::InternalError("an answer that nobody asked for");
  const size_t head_bytes = in_.find("\r\n\r\n");
  if (head_bytes == std::string::npos) {
    return in_.size() > kMaxHeadBytes ? absl::InternalError("the head of the answer is too long") : absl::OkStatus();
  }
  const absl::StatusOr<Head> head = ParseHead(std::string_view(in_).substr(0, head_bytes));
  if (!head.ok()) return head.status();
  const size_t begin = head_bytes + 4;
  if (in_.size() - begin < head->body_bytes) return absl::OkStatus();
  Call& call = *calls_.front();
  Detach(call);
  context_.sink.Ended(call, Ending::kAnswered, head->status, std::string_view(in_).substr(begin, head->body_bytes), at);
  const bool surplus = in_.size() > begin + head->body_bytes;
  in_.clear();
  // After an answer whose end is the end of the connection, the connection is done; the rest of the body is not needed.
  return head->close || surplus ? absl::CancelledError("closed after the answer") : absl::OkStatus();
}

absl::StatusOr<HttpLink::Head> HttpLink::ParseHead(std::string_view text) {
  Head head;
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
      framed = absl::SimpleAtoi(value, &head.body_bytes) && head.body_bytes <= kMaxBodyBytes;
      if (!framed) return absl::InternalError("a content-length that cannot be");
    }
    if (absl::EqualsIgnoreCase(name, "connection") && absl::EqualsIgnoreCase(value, "close")) head.close = true;
  }
  if (!framed && head.status != 204 && head.status != 304) head.close = true;
  return head;
}

bool HttpLink::MayHaveArrived(const Call& call) const { return call.written > 0; }

void HttpLink::Closed() { in_.clear(); }

}  // namespace lab::bench
