#pragma once

#include <cstdint>
#include <functional>
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

namespace lab::failpoint {
class Controller;
}

namespace lab::redis {

struct Options {
  std::string host = "127.0.0.1";
  int port = 6379;
  int connections = 1;  // operations go round; more than one costs a write each a turn (README: measured)
  Nanos connect_timeout = Millis(250);
  Nanos deadline = Millis(5);  // of every operation, from the call to its answer; 0: none (to show what that costs)
  int max_outstanding = 1024;  // operations, counting the expired ones that Redis has yet to answer
  Nanos reconnect_min = Millis(10);
  Nanos reconnect_max = Millis(250);  // full jitter between reconnect_min and a doubling bound
  async::Breaker::Options breaker;
  std::string password;  // from the environment only
};

// A view of a reply; valid during the callback.
class Reply {
 public:
  explicit Reply(const redisReply* reply) : reply_(reply) {}
  bool is_nil() const;
  int64_t integer() const;        // 0 for another type
  std::string_view text() const;  // strings and statuses; "" for another type
  size_t size() const;            // elements of an array
  Reply operator[](size_t index) const;

 private:
  const redisReply* reply_;
};

// A Lua script, called by its SHA-1; text is sent only when the server does not know it (NOSCRIPT). The name is for
// failpoints, as a command's.
class Script {
 public:
  explicit Script(std::string text, std::string name = "");
  const std::string& text() const { return text_; }
  const std::string& name() const { return name_; }
  const std::string& sha() const { return sha_; }

 private:
  std::string text_;
  std::string name_;
  std::string sha_;
};

// A client of one Redis server on the loop (hiredis, asynchronous). Single-threaded: call it on the loop's thread, and
// callbacks run there; a callback never runs inside the call that issued it. What is issued in one turn of the loop
// leaves in one write a connection. Not for commands that block, subscribe or monitor, nor for MULTI.
//
// Every operation ends in exactly one callback, at its deadline at the latest:
//   UNAVAILABLE          not sent: no connection, or the breaker is open         (definite: it did not happen)
//   RESOURCE_EXHAUSTED   not sent: max_outstanding reached                       (definite)
//   DEADLINE_EXCEEDED    no answer in time; a late one is dropped                (unknown: it may have happened)
//   ABORTED              the connection was lost before the answer, or Close     (unknown)
//   FAILED_PRECONDITION  the server refused: READONLY, OOM, LOADING, MISCONF, …  (definite; text of the server)
//   INVALID_ARGUMENT     any other error reply                                   (definite; text of the server)
// The breaker counts DEADLINE_EXCEEDED, ABORTED and FAILED_PRECONDITION as failures; what was not sent says nothing
// about the store. While it is not closed no operation passes: the client probes by PING on its own account, so that no
// call pays for the probe: at once (after refusals: after `open_for`), then `open_for` after each PING that was not
// answered in time, and as soon as a late answer shows that the server goes on. A new connection that has answered its
// handshake closes it too.
class Client {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Reply>)>;

  // Connects in the background and goes on trying. `options` with connections or max_outstanding below 1 mean 1.
  // `failpoints`, which act on operations that pass (failpoints.cc), outlive the client; null: none.
  Client(async::Loop& loop, Options options, obs::Metrics& metrics, failpoint::Controller* failpoints = nullptr);
  // As Close. Never from within a callback of this client (Close may be called there).
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Command(absl::Span<const std::string_view> args, Callback callback);
  // `script` must live until the callback. When the server does not know it (restart, SCRIPT FLUSH), its text is sent
  // once a connection and the call again behind it, within its deadline. Order: calls of one connection that are sent
  // again stay in the order in which they were issued, but later calls may have overtaken them.
  void Eval(const Script& script, absl::Span<const std::string_view> keys, absl::Span<const std::string_view> args,
            Callback callback);

  bool connected() const;
  // FAILED_PRECONDITION in plain words while the server is of no use to us: it runs in cluster mode, wants a password
  // or refuses ours. Operations fail with it, and the client goes on trying. OK otherwise.
  absl::Status refusal() const;
  // Calls back once: OK at the first connection, or refusal(), or ABORTED at Close. A service waits for it, for a
  // bounded time, to fail at its start when refused. Never runs inside this call.
  void WhenReady(absl::AnyInvocable<void(absl::Status)> callback);
  // Called from then on whenever a connection stands (true), and when one that stood has been lost (false): what a
  // connection knew of us, or we of it, ended with it. Hooks add up and stay until Close; they may issue operations.
  void OnConnection(std::function<void(bool stands)> hook);
  async::Breaker::State breaker_state() const;
  // Fails everything outstanding with ABORTED (the callbacks run inside Close), closes, and never reconnects.
  // Operations issued from then on are UNAVAILABLE. Call on the loop's thread before the loop is destroyed.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the loop's hook, which outlives the client, and with posted callbacks
};

// True where the operation may have taken effect: retry only what is idempotent.
bool OutcomeUnknown(const absl::Status& status);

}  // namespace lab::redis
