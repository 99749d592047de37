#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/observe/socket.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// A value of the Redis serialization protocol, version 2.
struct RespValue {
  enum class Kind { kNil, kText, kInteger, kError, kArray } kind = Kind::kNil;
  std::string text;  // of a text or an error
  int64_t integer = 0;
  std::vector<RespValue> items;

  bool IsError(std::string_view prefix) const { return kind == Kind::kError && text.rfind(prefix, 0) == 0; }
};

// Reads one value at the front of `bytes` from *used on, and moves *used behind it. Nothing: it is not all there yet.
// Bounded in depth (8) and size (16 MiB); what breaks the protocol is an error.
absl::StatusOr<std::optional<RespValue>> ParseResp(std::string_view bytes, size_t* used);
std::string FormatRespCommand(const std::vector<std::string>& arguments);

// One command at a time to a Redis; connects when needed, and again after any failure, so that a late reply is never
// taken for the next one's. Errors as of Socket. One thread at a time.
class RespConnection {
 public:
  RespConnection(std::string host, int port) : host_(std::move(host)), port_(port) {}

  absl::StatusOr<RespValue> Command(const std::vector<std::string>& arguments, Nanos timeout);
  // Writes a command without waiting for its reply: for those that block the server.
  absl::Status Send(const std::vector<std::string>& arguments, Nanos timeout);
  void Close() { socket_.reset(); }

 private:
  absl::Status Open(Clock::time_point deadline);
  absl::StatusOr<RespValue> Read(Clock::time_point deadline);

  std::string host_;
  int port_;
  std::optional<Socket> socket_;
};

}  // namespace lab::bench
