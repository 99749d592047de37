#include "bench/observe/pg_wire.h"

#include <cstdint>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxBytes = 16 << 20;
constexpr int32_t kVersion = 3 << 16;
constexpr const char* kPayload = "lab/pg-error";

void AppendInt32(int32_t value, std::string* text) {
  for (int shift = 24; shift >= 0; shift -= 8) text->push_back(static_cast<char>((value >> shift) & 0xff));
}

// Reads a message's fields from its front; what is not there reads as zero or "", and marks it broken.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  int32_t Int(size_t size) {
    if (bytes_.size() < size) return Broken();
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<unsigned char>(bytes_[i]);
    bytes_.remove_prefix(size);
    return size == 2 ? static_cast<int16_t>(value) : static_cast<int32_t>(value);
  }
  std::string_view Bytes(size_t size) {
    if (bytes_.size() < size) {
      Broken();
      return "";
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view Text() {
    const size_t end = bytes_.find('\0');
    if (end == std::string_view::npos) {
      Broken();
      return "";
    }
    const std::string_view taken = bytes_.substr(0, end);
    bytes_.remove_prefix(end + 1);
    return taken;
  }
  bool broken() const { return broken_; }

 private:
  int32_t Broken() {
    broken_ = true;
    bytes_ = {};
    return 0;
  }
  std::string_view bytes_;
  bool broken_ = false;
};

absl::Status NotPg(const char* what) { return absl::DataLossError(Concat("not the PostgreSQL protocol: ", what)); }

absl::StatusCode CodeOf(std::string_view sqlstate) {
  if (sqlstate.substr(0, 4) == "57P0") return absl::StatusCode::kUnavailable;
  return sqlstate == "53300" ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kFailedPrecondition;
}

// ErrorResponse: fields of one letter each.
absl::Status ErrorOf(std::string_view body, int statements) {
  std::string message, sqlstate, position, detail;
  Reader reader(body);
  for (int kind = reader.Int(1); kind != 0 && !reader.broken(); kind = reader.Int(1)) {
    const std::string text(reader.Text());
    if (kind == 'M') message = text;
    if (kind == 'C') sqlstate = text;
    if (kind == 'P') position = text;
    if (kind == 'D') detail = text;
  }
  if (!detail.empty()) message += Concat(": ", detail);
  absl::Status status(CodeOf(sqlstate), Concat(message, " (", sqlstate, ")"));
  status.SetPayload(kPayload, absl::Cord(Concat(sqlstate, " ", position.empty() ? "0" : position, " ", statements)));
  return status;
}

std::vector<std::string> RowOf(std::string_view body, bool* broken) {
  std::vector<std::string> row;
  Reader reader(body);
  for (int fields = reader.Int(2); fields > 0 && !reader.broken(); --fields) {
    const int32_t size = reader.Int(4);
    row.emplace_back(size > 0 ? reader.Bytes(static_cast<size_t>(size)) : "");
  }
  *broken = reader.broken();
  return row;
}

}  // namespace

std::string FormatPgStartup(const PgLogin& login) {
  std::string body;
  AppendInt32(kVersion, &body);
  for (const auto& [name, value] : {std::pair<std::string_view, std::string_view>{"user", login.user},
                                    {"database", login.database},
                                    {"application_name", login.application}}) {
    body.append(name).push_back('\0');
    body.append(value).push_back('\0');
  }
  body.push_back('\0');
  std::string text;
  AppendInt32(static_cast<int32_t>(body.size() + 4), &text);
  return text + body;
}

std::string FormatPgQuery(std::string_view sql) {
  std::string text = "Q";
  AppendInt32(static_cast<int32_t>(sql.size() + 5), &text);
  text.append(sql).push_back('\0');
  return text;
}

PgErrorPlace PlaceOf(const absl::Status& status) {
  PgErrorPlace place;
  const absl::optional<absl::Cord> payload = status.GetPayload(kPayload);
  if (!payload) return place;
  const std::vector<std::string> words = absl::StrSplit(std::string(*payload), ' ');
  if (words.size() != 3) return place;
  place.sqlstate = words[0];
  (void)absl::SimpleAtoi(words[1], &place.position);
  (void)absl::SimpleAtoi(words[2], &place.statements);
  return place;
}

PgConnection::PgConnection(std::string host, int port, PgLogin login)
    : host_(std::move(host)), port_(port), login_(std::move(login)) {}

absl::StatusOr<PgConnection::Message> PgConnection::Receive(Clock::time_point deadline) {
  for (;;) {
    if (received_.size() >= 5) {
      const int32_t size = Reader(std::string_view(received_).substr(1)).Int(4);
      if (size < 4 || static_cast<size_t>(size) > kMaxBytes) return NotPg("a message of an impossible size");
      const size_t whole = static_cast<size_t>(size) + 1;
      if (received_.size() >= whole) {
        Message message{received_[0], received_.substr(5, whole - 5)};
        received_.erase(0, whole);
        return message;
      }
    }
    absl::StatusOr<std::string> more = socket_->Receive(deadline);
    if (!more.ok()) return more.status();
    if (more->empty()) return absl::UnavailableError("the server closed the connection");
    received_ += *more;
  }
}

absl::Status PgConnection::Open(Clock::time_point deadline) {
  absl::StatusOr<Socket> made = Socket::Connect(host_, port_, deadline);
  if (!made.ok()) return made.status();
  socket_ = std::move(*made);
  received_.clear();
  in_transaction_ = false;
  server_pid_ = 0;
  if (absl::Status sent = socket_->Send(FormatPgStartup(login_), deadline); !sent.ok()) return sent;
  for (;;) {
    const absl::StatusOr<Message> message = Receive(deadline);
    if (!message.ok()) return message.status();
    if (message->type == 'E') return ErrorOf(message->body, 0);
    if (message->type == 'R' && Reader(message->body).Int(4) != 0) {
      return absl::FailedPreconditionError("the server wants a password");
    }
    if (message->type == 'K') server_pid_ = Reader(message->body).Int(4);
    if (message->type == 'Z') return absl::OkStatus();
  }
}

absl::StatusOr<PgReply> PgConnection::Ask(std::string_view sql, Clock::time_point deadline) {
  if (!socket_) {
    if (absl::Status opened = Open(deadline); !opened.ok()) return opened;
  }
  if (absl::Status sent = socket_->Send(FormatPgQuery(sql), deadline); !sent.ok()) return sent;
  PgReply reply;
  size_t bytes = 0;
  for (;;) {
    const absl::StatusOr<Message> message = Receive(deadline);
    if (!message.ok()) return message.status();
    bytes += message->body.size();
    if (bytes > kMaxBytes) return absl::ResourceExhaustedError("an answer of more than 16 MiB");
    bool broken = false;
    switch (message->type) {
      case 'T':
        reply.rows.clear();
        break;
      case 'D':
        reply.rows.push_back(RowOf(message->body, &broken));
        if (broken) return NotPg("a row that is cut off");
        break;
      case 'C':
        reply.tag = std::string(Reader(message->body).Text());
        ++reply.statements;
        break;
      case 'E':
        return ErrorOf(message->body, reply.statements);
      case 'G':
      case 'H':
      case 'W':
        return absl::FailedPreconditionError("COPY by the connection is not for probes");
      case 'Z':
        in_transaction_ = message->body != "I";
        return reply;
      default:  // notices, parameters, empty statements
        break;
    }
  }
}

absl::StatusOr<PgReply> PgConnection::Query(std::string_view sql, Nanos timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  // A connection kept from before may have been ended by a restart of the server: then, once, a new one.
  for (bool kept = socket_.has_value() && !in_transaction_;; kept = false) {
    absl::StatusOr<PgReply> reply = Ask(sql, deadline);
    if (reply.ok()) return reply;
    Close();
    if (!kept || !absl::IsUnavailable(reply.status())) return reply;
  }
}

}  // namespace lab::bench
