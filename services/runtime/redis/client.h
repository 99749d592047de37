#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/runtime/async/breaker.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

struct redisReply;

namespace lab::redis {

struct Options {
  std::string host = "127.0.0.1";
  int port = 6379;
  int connections = 1;
  Nanos connect_timeout = Millis(250);
  Nanos deadline = Millis(5);   // of every operation, from the call to its answer; 0: none (to show what that costs)
  int max_outstanding = 1024;   // operations, with the expired ones that Redis has yet to answer
  Nanos reconnect_min = Millis(10);
  Nanos reconnect_max = Millis(500);  // full jitter between reconnect_min and a doubling bound
  async::Breaker::Options breaker;
  std::string password;         // from the environment only
};

// A view of a reply; valid during the callback.
class Reply {
 public:
  explicit Reply(const redisReply* reply) : reply_(reply) {}
  bool is_nil() const;
  int64_t integer() const;              // 0 for another type
  std::string_view text() const;        // strings and statuses; "" for another type
  size_t size() const;                  // elements of an array
  Reply operator[](size_t index) const;

 private:
  const redisReply* reply_;
};

// A Lua script, called by its SHA-1; text is sent only when the server does not know it (NOSCRIPT).
class Script {
 public:
  explicit Script(std::string text);
  const std::string& text() const { return text_; }
  const std::string& sha() const { return sha_; }

 private:
  std::string text_;
  std::string sha_;
};

// A client of one Redis server on the loop (hiredis, asynchronous). Single-threaded: call it on the loop's thread, and
// callbacks run there; a callback never runs inside the call that issued it. What is issued in one turn of the loop
// leaves in one write a connection.
//
// Every operation ends in exactly one callback, at its deadline at the latest:
//   UNAVAILABLE          not sent: no connection, or the breaker is open         (definite: it did not happen)
//   RESOURCE_EXHAUSTED   not sent: max_outstanding reached                       (definite)
//   DEADLINE_EXCEEDED    no answer in time; a late one is dropped                (unknown: it may have happened)
//   ABORTED              the connection was lost before the answer               (unknown)
//   FAILED_PRECONDITION  the server refused: READONLY, OOM, LOADING, MISCONF, …  (definite; text of the server)
//   INVALID_ARGUMENT     any other error reply                                   (definite; text of the server)
// The breaker counts all of them but the last as failures.
class Client {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reply>)>;

  // Connects in the background and goes on trying. A server in cluster mode is refused in plain words: Start of the
  // service fails when it is seen before `ready`, later the operations fail with that text.
  Client(async::Loop& loop, Options options, obs::Metrics& metrics);
  ~Client();

  void Command(absl::Span<const std::string_view> args, Callback callback);
  void Eval(const Script& script, absl::Span<const std::string_view> keys, absl::Span<const std::string_view> args,
            Callback callback);

  bool connected() const;
  async::Breaker::State breaker_state() const;
  // Fails everything outstanding with ABORTED, closes, and never reconnects. Call before destroying on the loop.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// True where the operation may have taken effect: retry only what is idempotent.
bool OutcomeUnknown(const absl::Status& status);

}  // namespace lab::redis
