#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/pg/connector.h"
#include "services/runtime/pg/operation.h"

namespace lab::pg {

// Operations between two Syncs: one transaction.
struct Group {
  std::vector<Operation*> operations;
  // What the server answers, in order: each step, and before it the preparation of its statement where that was sent.
  struct Awaited {
    Operation* operation;
    const Statement* prepared;  // null: a step
  };
  std::vector<Awaited> awaited;
  size_t answered = 0;
  // The first error, which rolled all of it back. Without a culprit it came with the commit, from all of them.
  ResultPtr error;
  Operation* culprit = nullptr;
  const Statement* unprepared = nullptr;  // the server does not take the text of this one
};

// One connection of a Client in pipeline mode, made again whenever it is lost. Private to this folder.
//
//   resolve ─▶ connect ─▶ ready
//      ▲          └─────────┴─▶ lost or refused ─┐
//      └────────── jittered backoff ◀────────────┘
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnReady() = 0;
    // It was not ready (kept until it is): the server is of no use to us, in plain words.
    virtual void OnRefused(const absl::Status& refusal) = 0;
    // The Sync of a group was answered: it has committed, or `error` says why it was rolled back.
    virtual void OnEnd(Connection& connection, std::unique_ptr<Group> group) = 0;
    // The connection was lost before that.
    virtual void OnLost(std::unique_ptr<Group> group, const std::string& why) = 0;
  };

  struct Counters {
    obs::Counter& groups;
    obs::Counter& statements;
    obs::Counter& reconnects;
  };

  Connection(async::Loop& loop, const Options& options, Listener& listener, Counters counters);
  ~Connection();

  void Start();
  // Forgets the listener and never reconnects; groups in flight are dropped without a word.
  void Close();

  bool ready() const { return state_ == State::kReady; }
  bool CanTake() const {
    return ready() && !reserved_ && groups_.size() < static_cast<size_t>(options_.groups_in_flight);
  }
  bool idle() const { return ready() && groups_.empty(); }
  // For one transaction: groups of others do not come here meanwhile. Forgotten when the connection is lost.
  void Reserve(bool reserved) { reserved_ = reserved; }
  bool reserved() const { return reserved_; }
  // Another number means another connection.
  uint64_t epoch() const { return generation_; }
  size_t groups_in_flight() const { return groups_.size(); }
  // Sends it with its Sync. Only while ready.
  void Send(std::unique_ptr<Group> group);
  // Ends it, and makes a new one.
  void Replace(const std::string& why) { Drop(absl::UnavailableError(why)); }
  // An operation got no answer in time. A connection that owes answers and has given none for kStallTimeout is
  // replaced.
  void Suspect(Clock::time_point now);

 private:
  enum class State { kIdle, kConnecting, kReady, kClosed };

  void Connect();
  void Stand();
  void ConnectLater();
  absl::Status Broken() const;  // what libpq says
  void Drop(const absl::Status& why);
  void Finish();  // frees the libpq connection

  bool Append(Group& group, Operation& operation, const StoredStep& step);
  void Flush();
  void WaitReadable();
  void OnReadable();
  void Pump();
  void Take(ResultPtr result);
  void TakeError(ResultPtr result);

  async::Loop& loop_;
  const Options& options_;
  Listener* listener_;
  Counters counters_;
  const Target target_;
  async::Backoff backoff_;
  const std::shared_ptr<Connector> connector_;

  State state_ = State::kIdle;
  ConnectionPtr connection_;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;  // backoff
  uint64_t generation_ = 0;          // of the libpq connection: handlers of an older one do nothing
  bool waiting_write_ = false;
  bool reserved_ = false;
  Clock::time_point ready_at_{};
  Clock::time_point progress_at_{};  // when it last answered, or began to owe an answer
  bool ever_ready_ = false;
  bool failure_logged_ = false;

  std::deque<std::unique_ptr<Group>> groups_;                   // in flight, oldest first
  std::unordered_map<const Statement*, std::string> prepared_;  // their names on this connection
  uint64_t next_name_ = 0;
  std::vector<const char*> values_;  // scratch
};

}  // namespace lab::pg
