#include "bench/load/http_link.h"

#include "bench/load/http_head.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxHeadBytes = 16 << 10;

}  // namespace

HttpLink::HttpLink(LinkContext& context, const Endpoint& endpoint, Return returns) : Link(context, endpoint, returns) {}

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
  const absl::StatusOr<HttpHead> head = ParseHttpHead(std::string_view(in_).substr(0, head_bytes));
  if (!head.ok()) return head.status();
  const size_t begin = head_bytes + 4;
  if (in_.size() - begin < head->body_bytes) return absl::OkStatus();
  ResetBackoff();  // not before: who accepts may still close at once
  Call& call = *calls_.front();
  Detach(call);
  // After an answer whose end is the end of the connection, the connection is done; the rest of the body is not needed.
  closing_ = head->close || in_.size() > begin + head->body_bytes;
  call.head = std::string_view(in_).substr(0, head_bytes);
  context_.sink.Ended(call, Ending::kAnswered, head->status, std::string_view(in_).substr(begin, head->body_bytes), at);
  in_.clear();
  return closing_ ? absl::CancelledError("closed after the answer") : absl::OkStatus();
}

bool HttpLink::MayHaveArrived(const Call& call) const { return call.written > 0; }

void HttpLink::Closed() {
  in_.clear();
  closing_ = false;
}

}  // namespace lab::bench
