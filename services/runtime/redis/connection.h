#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/host_resolver.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/redis/client.h"

struct redisAsyncContext;
struct redisReply;

namespace lab::redis {

// One connection of a Client: a hiredis context on a non-blocking descriptor of the loop, connected again whenever it
// is lost. Private to this folder.
//
//   resolve ─▶ connect ─▶ handshake (AUTH, INFO cluster) ─▶ ready
//      ▲          └───────────────┴──────────────────────────┴─▶ lost or refused ─┐
//      └───────────────────────────── jittered backoff ◀──────────────────────────┘
//
// Who owns the context: hiredis frees it itself when the connection fails or the peer closes (inside
// redisAsyncHandleRead/Write), and defers redisAsyncFree while one of its callbacks runs. In every case it first calls
// the `cleanup` hook, which is the only place that forgets the pointer; after each call into hiredis we look whether it
// is still there. Pending callbacks get a null reply before that hook (0.14) or after it (1.x): both work here.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnReady() = 0;
    // It was ready, and is not any more.
    virtual void OnLost() = 0;
    // It was not ready (kept until it is): the server is of no use to us, in plain words.
    virtual void OnRefused(const absl::Status& refusal) = 0;
    // The answer to a token of Send, in order; null when the connection was lost before it. Runs inside hiredis.
    virtual void OnReply(Connection& connection, void* token, const redisReply* reply) = 0;
  };

  struct Counters {
    obs::Counter& writes;
    obs::Counter& commands;
    obs::Counter& reconnects;
  };

  Connection(async::Loop& loop, const Options& options, Listener& listener, Counters counters);

  void Start();
  // Forgets the listener, frees the context and never reconnects.
  void Close();

  bool ready() const { return state_ == State::kReady; }
  // When it last answered, or began to owe an answer.
  Clock::time_point progress_at() const { return progress_at_; }
  // Appends a command to the next write. Only while ready. The token comes back through OnReply exactly once.
  void Send(std::string_view command, void* token);
  // Makes the script known to the server ahead of what is sent next; does nothing while a load is under way.
  void LoadScript(const Script& script);
  // Writes what was sent since the last call, in one write; whether there was anything. What the socket does not take
  // follows when it can.
  bool Flush();
  // An operation got no answer in time. A connection that owes answers and has given none for kStallTimeout is
  // replaced.
  void Suspect(Clock::time_point now);

 private:
  enum class State { kIdle, kConnecting, kHandshake, kReady, kDropping, kClosed };

  void Connect();
  void ConnectTo(const std::string& address);
  void OnConnected(bool ok);
  // Replies, null when the connection was lost before them. They run inside hiredis.
  void OnAuth(void*, const redisReply* reply);
  void OnInfo(void*, const redisReply* reply);
  void OnLoaded(void*, const redisReply* reply);
  void OnSent(void* token, const redisReply* reply);
  template <void (Connection::*handler)(void*, const redisReply*)>
  void Append(std::string_view command, void* token = nullptr);
  void Refuse(std::string_view text);
  void Drop(std::string_view why);
  void AfterHiredis();
  void ConnectLater();
  void OnLate();
  void ArmTimer(Nanos delay, void (Connection::*then)());
  void Hook(redisAsyncContext* context);
  void Forget();  // the cleanup hook
  void WaitReadable();
  void WaitWritable();
  void Write();
  std::string Address() const;

  async::Loop& loop_;
  const Options& options_;
  Listener* listener_;
  Counters counters_;
  async::Backoff backoff_;
  async::HostResolver resolver_;

  State state_ = State::kIdle;
  redisAsyncContext* context_ = nullptr;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;  // connect, handshake, backoff
  Clock::time_point late_at_{};      // of the attempt to connect
  uint64_t generation_ = 0;          // of the attempt to connect: handlers of an older one do nothing
  uint64_t timer_epoch_ = 0;
  bool dirty_ = false;    // something was appended since the last write
  bool writing_ = false;  // inside redisAsyncHandleWrite
  bool waiting_read_ = false;
  bool waiting_write_ = false;
  std::string error_;                // why the context ended, for the log
  std::deque<std::string> loading_;  // SHA-1 of the scripts whose SCRIPT LOAD is unanswered, in order
  uint64_t owed_ = 0;                // answers
  Clock::time_point progress_at_{};
  Clock::time_point ready_at_{};
  bool ever_ready_ = false;
  bool failure_logged_ = false;
};

}  // namespace lab::redis
