#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "services/runtime/async/backoff.h"
#include "services/runtime/async/breaker.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

struct pg_result;

namespace lab::failpoint {
class Controller;
}

namespace lab::pg {

struct Options {
  std::string host = "127.0.0.1";  // a name, an address, or the folder of a Unix socket ("/run/postgresql")
  int port = 5432;
  std::string database = "insights";
  std::string user = "lab";
  std::string password;     // from the environment only
  std::string name = "pg";  // of this pool: metrics' label `pool`, and application_name
  int connections = 2;
  Nanos connect_timeout = Millis(1000);
  Nanos deadline = Millis(250);  // of every operation, from the call to its end, its wait for a connection included;
                                 // also the session's statement_timeout, so that the server gives up too
  int max_outstanding = 1024;    // operations, with those that wait and the expired ones the server has yet to answer
  int group_max = 64;            // operations that share one Sync, and so one transaction
  int groups_in_flight = 4;      // a connection; 1 for writes, which gain by larger groups
  bool read_only = false;        // the session refuses to write
  async::Backoff::Options reconnect;
  async::Breaker::Options breaker;
};

// SQL with numbered parameters ($1 …), prepared once a connection, when it is first used there. Must outlive the
// client. Not COPY, LISTEN, BEGIN, COMMIT or anything else that ends a transaction.
class Statement {
 public:
  // `name`, "insights.read", is for failpoints and errors.
  Statement(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) {}
  const std::string& name() const { return name_; }
  const std::string& text() const { return text_; }

 private:
  std::string name_, text_;
};

// A parameter in text form; the server infers its type. What it views must live until the call returns.
class Param {
 public:
  Param(std::string_view text) : text_(text) {}    // NOLINT: a parameter is what is written there
  Param(const char* text) : text_(text) {}         // NOLINT
  Param(const std::string& text) : text_(text) {}  // NOLINT
  template <typename T, typename = std::enable_if_t<std::is_integral_v<T>>>
  Param(T number) {  // NOLINT
    Take(static_cast<int64_t>(number));
  }
  static Param Null();
  bool is_null() const { return null_; }
  std::string_view text() const { return length_ > 0 ? std::string_view(digits_.data(), length_) : text_; }

 private:
  void Take(int64_t number);
  std::string_view text_;
  std::array<char, 20> digits_{};
  uint8_t length_ = 0;  // of the digits
  bool null_ = false;
};

// A view of the result of one statement; valid during the callback.
class Result {
 public:
  explicit Result(const pg_result* result) : result_(result) {}
  int rows() const;
  int columns() const;
  bool is_null(int row, int column) const;
  std::string_view text(int row, int column) const;  // "" for NULL
  int64_t integer(int row, int column) const;        // 0 for what is none
  int64_t affected() const;                          // rows that an INSERT, UPDATE or DELETE touched
  std::string_view tag() const;                      // "INSERT 0 1"

 private:
  const pg_result* result_;
};

// One for each statement of an operation.
class Results {
 public:
  explicit Results(absl::Span<const pg_result* const> results) : results_(results) {}
  size_t size() const { return results_.size(); }
  Result operator[](size_t index) const { return Result(results_[index]); }

 private:
  absl::Span<const pg_result* const> results_;
};

// A statement of an operation, with its parameters.
struct Step {
  const Statement& statement;
  absl::Span<const Param> params;
};

class Transaction;

// A pool of connections to one PostgreSQL server on the loop (libpq in pipeline mode). Single-threaded: call it on the
// loop's thread, and callbacks run there; a callback never runs inside the call that issued it.
//
// What is issued in one turn of the loop leaves in groups with one Sync each, which is what makes it fast
// (README: measured). A group is one transaction: an operation is acknowledged only when its group has committed. When
// one operation of a group fails, the group is rolled back; that operation gets its error, and the others are sent
// again, so that each operation succeeds or fails by itself. Operations of one turn may be executed in any order; one
// operation is atomic.
//
// Groups of several connections, of any process, that write the same rows in different orders can deadlock: PostgreSQL
// ends one after its deadlock_timeout, which is longer than most deadlines, and that group is sent again, one operation
// at a time. So whoever shares groups for writes gives each operation an `order`, the key of the row that it locks: a
// group executes its operations in the order of these, and equal ones as they were issued.
//
// Every operation ends in exactly one callback, at its deadline at the latest:
//   UNAVAILABLE          not sent: no connection, or the breaker is open                 (definite: it did not happen)
//   RESOURCE_EXHAUSTED   not sent: max_outstanding reached, or no connection was free until the deadline; or rolled
//   back
//                        by others of its group, and not sent again until then                            (definite)
//   DEADLINE_EXCEEDED    sent, no answer in time; a late one is dropped                  (unknown: it may have
//   happened) ABORTED              the connection was lost before the answer, or Close             (unknown)
//   ALREADY_EXISTS       a unique or exclusion constraint                                (definite; as all below)
//   FAILED_PRECONDITION  other constraints; a server that refuses: read-only, starting, shutting down, out of disk
//   INVALID_ARGUMENT     any other error of the statement or its parameters
// Errors carry the server's text and its SQLSTATE. The breaker counts DEADLINE_EXCEEDED, ABORTED and refusals as
// failures (async/probed_breaker.h). A conflict with others (deadlock, serialization failure, lock_timeout) is none:
// the operation is sent again a few times, and then, as at once what belongs to a Transaction, ends in
// FAILED_PRECONDITION.
class Client {
 public:
  using Callback = absl::AnyInvocable<void(absl::StatusOr<Results>)>;

  // Connects in the background and goes on trying. Counts below 1 mean 1. `failpoints`, which act on operations that
  // pass (failpoints.cc), outlive the client; null: none.
  Client(async::Loop& loop, Options options, obs::Metrics& metrics, failpoint::Controller* failpoints = nullptr);
  // As Close. Never from within a callback of this client (Close may be called there).
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Execute(const Statement& statement, absl::Span<const Param> params, Callback callback,
               std::string_view order = {});
  // Several statements as one operation: all of them happen, or none. At most kMaxSteps.
  void Transact(absl::Span<const Step> steps, Callback callback, std::string_view order = {});
  static constexpr size_t kMaxSteps = 16;

  // A transaction over several turns, which has a connection for itself until it ends. It waits for one that is idle;
  // the status is as above. Only for what has to act on the world between its statements: it holds locks meanwhile, and
  // costs a round trip a statement.
  void Begin(absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Transaction>>)> callback);

  bool connected() const;
  // FAILED_PRECONDITION in plain words while the server is of no use to us: it refuses the password, or has no such
  // database. Operations fail with it, and the client goes on trying. OK otherwise.
  absl::Status refusal() const;
  // Calls back once: OK at the first connection, or refusal(), or ABORTED at Close. Never runs inside this call.
  void WhenReady(absl::AnyInvocable<void(absl::Status)> callback);
  async::Breaker::State breaker_state() const;
  // Fails everything outstanding with ABORTED (the callbacks run inside Close), closes, and never reconnects. Call on
  // the loop's thread before the loop is destroyed.
  void Close();

 private:
  friend class Transaction;
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the loop's hook, which outlives the client, and with posted callbacks
};

// Statements in order, one after the other or without waiting for the answers before. On the loop's thread; may outlive
// the client, and fails everything then.
class Transaction {
 public:
  ~Transaction();  // rolls back, unless it has been asked to end
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // Its end is as of Client::Execute, each with the pool's deadline. After an error all that follows fails.
  void Execute(const Statement& statement, absl::Span<const Param> params, Client::Callback callback);
  // OK: committed. FAILED_PRECONDITION: rolled back, because a statement had failed. ABORTED, DEADLINE_EXCEEDED:
  // unknown.
  void Commit(absl::AnyInvocable<void(absl::Status)> callback);
  void Rollback();

 private:
  friend class Client;
  friend struct Client::Impl;
  Transaction(std::weak_ptr<Client::Impl> client, size_t connection, uint64_t epoch)
      : client_(std::move(client)), connection_(connection), epoch_(epoch) {}
  std::weak_ptr<Client::Impl> client_;
  const size_t connection_;  // its index
  const uint64_t epoch_;     // of the connection: another one means that it was lost, and the transaction with it
  bool ended_ = false;
};

// True where the operation may have taken effect: retry only what is idempotent.
bool OutcomeUnknown(const absl::Status& status);

}  // namespace lab::pg
