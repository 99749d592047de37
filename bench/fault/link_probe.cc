#include "bench/fault/link_probe.h"

#include <algorithm>

#include "bench/observe/pg_wire.h"
#include "bench/observe/resp.h"
#include "bench/observe/socket.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kPatience{300};
constexpr std::string_view kGet = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n";

}  // namespace

LinkProbe::Protocol LinkProbe::ProtocolOf(const FaultTarget& link) {
  if (link.port("redis") != 0) return Protocol::kResp;
  return link.port("postgres") != 0 ? Protocol::kPostgres : Protocol::kHttp;
}

LinkProbe::LinkProbe(FaultTarget& link)
    : protocol_(ProtocolOf(link)),
      port_(link.port(protocol_ == Protocol::kResp       ? "redis"
                      : protocol_ == Protocol::kPostgres ? "postgres"
                                                         : "http")),
      get_(Concat(kGet, "\r\n")) {}

absl::Status LinkProbe::Prepare() {
  if (port_ == 0) return absl::FailedPreconditionError("there is no probe for what is behind this link");
  const Clock::time_point deadline = Clock::now() + kPatience;
  absl::StatusOr<Socket> socket = Socket::Connect("127.0.0.1", port_, deadline);
  if (!socket.ok()) return socket.status();
  const std::string question = protocol_ == Protocol::kHttp ? get_ : Question(1);
  if (absl::Status sent = socket->Send(question, deadline); !sent.ok()) return sent;
  socket->CloseHalf();
  size_t received = 0;
  for (;;) {
    const absl::StatusOr<std::string> some = socket->Receive(deadline);
    if (!some.ok()) return some.status();
    if (some->empty()) break;
    received += some->size();
  }
  if (received == 0) return absl::UnavailableError("the link does not answer");
  if (protocol_ == Protocol::kPostgres) {
    answer_bytes_ = received;
    return absl::OkStatus();
  }
  // As large as an answer, so that so many of them carry the same both ways.
  const std::string_view padding = "X-Lab-Padding: \r\n";
  const size_t bare = kGet.size() + padding.size() + 2;
  answer_bytes_ = received;
  get_ = Concat(kGet, "X-Lab-Padding: ", std::string(received > bare ? received - bare : 0, 'x'), "\r\n\r\n");
  return absl::OkStatus();
}

// RESP: one ECHO of that size. PostgreSQL: a login and, without waiting for its end, a SELECT of a text of that size.
// HTTP: so many GETs on one connection that the answers have it.
std::string LinkProbe::Question(size_t bytes) const {
  if (protocol_ == Protocol::kResp) {
    return bytes <= 1 ? FormatRespCommand({"PING"}) : FormatRespCommand({"ECHO", std::string(bytes, 'x')});
  }
  if (protocol_ == Protocol::kPostgres) {
    return FormatPgStartup({}) + FormatPgQuery(Concat("SELECT '", std::string(std::max<size_t>(bytes, 1), 'x'), "'"));
  }
  std::string question;
  for (size_t i = 0; i < Gets(bytes); ++i) question += get_;
  return question;
}

size_t LinkProbe::Gets(size_t bytes) const { return bytes / answer_bytes_ + 1; }

size_t LinkProbe::AnswerBytes(size_t bytes) const {
  if (protocol_ == Protocol::kHttp) return Gets(bytes) * answer_bytes_;
  if (protocol_ == Protocol::kPostgres) return answer_bytes_ + std::max<size_t>(bytes, 1) - 1;
  return bytes <= 1 ? std::string_view("+PONG\r\n").size() : Concat("$", bytes, "\r\n\r\n").size() + bytes;
}

LinkProbe::Result LinkProbe::Exchange(size_t bytes, Nanos timeout) const {
  const Clock::time_point begin = Clock::now(), deadline = begin + timeout;
  Result result;
  const auto ended = [&](End end) {
    result.end = end;
    result.took = Clock::now() - begin;
    return result;
  };
  const auto failed = [&](const absl::Status& status) {
    return ended(absl::IsDeadlineExceeded(status) ? End::kSilent : End::kReset);
  };
  absl::StatusOr<Socket> socket = Socket::Connect("127.0.0.1", port_, deadline);
  if (!socket.ok()) return ended(absl::IsDeadlineExceeded(socket.status()) ? End::kSilent : End::kRefused);
  if (absl::Status sent = socket->Send(Question(bytes), deadline); !sent.ok()) return failed(sent);
  while (result.received < AnswerBytes(bytes)) {
    const absl::StatusOr<std::string> some = socket->Receive(deadline);
    if (!some.ok()) return failed(some.status());
    if (some->empty()) return ended(End::kCut);
    result.received += some->size();
  }
  return ended(End::kAnswered);
}

LinkProbe::Result LinkProbe::Close(Nanos timeout) const {
  const Clock::time_point connected_by = Clock::now() + kPatience;
  Result result;
  absl::StatusOr<Socket> socket = Socket::Connect("127.0.0.1", port_, connected_by);
  if (!socket.ok()) {
    result.end = End::kRefused;
    return result;
  }
  if (!socket->Send(Question(1), connected_by).ok() || !socket->Receive(connected_by).ok()) {
    result.end = End::kCut;
    return result;
  }
  const Clock::time_point begin = Clock::now();
  socket->CloseHalf();
  for (;;) {
    const absl::StatusOr<std::string> some = socket->Receive(begin + timeout);
    result.took = Clock::now() - begin;
    if (some.ok() && !some->empty()) continue;
    result.end = some.ok() ? End::kAnswered : absl::IsDeadlineExceeded(some.status()) ? End::kSilent : End::kReset;
    return result;
  }
}

}  // namespace lab::bench
