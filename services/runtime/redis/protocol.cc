#include "services/runtime/redis/protocol.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace lab::redis {
namespace {

void AppendLine(std::string& out, char kind, size_t number) {
  char line[24] = {kind};
  char* end = std::to_chars(line + 1, line + sizeof(line) - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(line, end);
}

// First words of the errors that tell of the server's state, not of the command.
constexpr std::array<std::string_view, 16> kRefusals = {
    "READONLY", "OOM",    "LOADING",   "MISCONF", "BUSY",        "MASTERDOWN", "NOREPLICAS", "NOAUTH",
    "NOPERM",   "DENIED", "WRONGPASS", "MOVED",   "CLUSTERDOWN", "ASK",        "TRYAGAIN",   "CROSSSLOT"};

}  // namespace

std::string_view TextOf(const redisReply* reply) {
  return reply->str != nullptr ? std::string_view(reply->str, reply->len) : std::string_view();
}

void AppendHead(std::string& out, size_t count) { AppendLine(out, '*', count); }

void AppendArgument(std::string& out, std::string_view argument) {
  AppendLine(out, '$', argument.size());
  out.append(argument);
  out.append("\r\n", 2);
}

std::string FormatCommand(std::initializer_list<std::string_view> arguments) {
  std::string out;
  AppendHead(out, arguments.size());
  for (const std::string_view argument : arguments) AppendArgument(out, argument);
  return out;
}

absl::Status StatusOfError(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(' '));
  const absl::string_view message(text.data(), text.size());
  if (std::find(kRefusals.begin(), kRefusals.end(), word) != kRefusals.end()) {
    return absl::FailedPreconditionError(message);
  }
  return absl::InvalidArgumentError(message);
}

bool IsNoScript(std::string_view error) { return error.substr(0, 8) == "NOSCRIPT"; }

}  // namespace lab::redis
