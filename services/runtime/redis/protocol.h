#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/status/status.h"

struct redisReply;

// What of the Redis serialization protocol (RESP2, https://redis.io/docs/reference/protocol-spec) this module writes
// itself, because printf-like formatting of hiredis costs more than the command; replies are parsed by hiredis.
namespace lab::redis {

// The text of a string, status or error reply; empty for others.
std::string_view TextOf(const redisReply* reply);

// Appends the head of a command of `count` arguments; each follows by AppendArgument.
void AppendHead(std::string& out, size_t count);
void AppendArgument(std::string& out, std::string_view argument);

// The whole command: AppendHead and its arguments.
std::string FormatCommand(std::initializer_list<std::string_view> arguments);

// The status of an error reply: FAILED_PRECONDITION where the server refuses for the state that it is in (read-only,
// out of memory, loading, …), else INVALID_ARGUMENT. The message is the server's text.
absl::Status StatusOfError(std::string_view text);

// An EVALSHA whose script the server does not know.
bool IsNoScript(std::string_view error);

}  // namespace lab::redis
