#include "bench/cacheapi/replica.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "bench/load/http_head.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench::cacheapi {
namespace {

constexpr std::chrono::seconds kAnswer{2};

}  // namespace

Replica::Replica(std::string name, int port) : name_(std::move(name)), port_(port) {}

absl::StatusOr<Reading> Replica::Get(const std::string& request) {
  const bool kept = socket_ != nullptr;
  absl::StatusOr<Reading> reading = Try(request);
  if (!reading.ok()) socket_.reset();
  if (!reading.ok() && kept) reading = Try(request);  // it was closed for idling
  return reading;
}

absl::StatusOr<Reading> Replica::Try(const std::string& request) {
  const Clock::time_point deadline = Clock::now() + kAnswer;
  if (socket_ == nullptr) {
    absl::StatusOr<Socket> opened = Socket::Connect("127.0.0.1", port_, deadline);
    if (!opened.ok()) return opened.status();
    socket_ = std::make_unique<Socket>(*std::move(opened));
  }
  if (absl::Status sent = socket_->Send(request, deadline); !sent.ok()) return sent;
  std::string bytes;
  for (;;) {
    const absl::StatusOr<std::string> more = socket_->Receive(deadline);
    if (!more.ok()) return more.status();
    if (more->empty()) return absl::UnavailableError("closed before its answer");
    bytes += *more;
    const size_t end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) continue;
    const std::string_view head = std::string_view(bytes).substr(0, end);
    const absl::StatusOr<HttpHead> parsed = ParseHttpHead(head);
    if (!parsed.ok()) return parsed.status();
    if (bytes.size() - end - 4 < parsed->body_bytes) continue;
    const std::string_view body = std::string_view(bytes).substr(end + 4, parsed->body_bytes);
    const Reading reading = FindTarget("cacheapi.get")->read({parsed->status, body, head, request, Ask::kRead});
    if (parsed->close) socket_.reset();
    if (reading.outcome == Outcome::kOk && reading.version > 0) return reading;
    return absl::UnavailableError(Concat("answered ", parsed->status));
  }
}

}  // namespace lab::bench::cacheapi
