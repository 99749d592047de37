#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/async/deadline_list.h"
#include "services/runtime/async/probed_breaker.h"
#include "services/runtime/async/turn_end.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/pg/connection.h"
#include "services/runtime/pg/operation.h"

namespace lab::pg {

struct ClientMetrics {
  ClientMetrics(obs::Metrics& metrics, const std::string& pool);

  obs::Counter& ok;
  obs::Counter& error;
  obs::Counter& timeout;
  obs::Counter& rejected;  // not sent
  obs::Counter& lost;
  obs::Counter& resent;
  obs::Counter& late;
  obs::Histogram& duration;
  obs::Gauge& outstanding;
  obs::Gauge& waiting;
  obs::Gauge& breaker;
  Connection::Counters connection;
};

struct Client::Impl : std::enable_shared_from_this<Client::Impl>, Connection::Listener {
  Impl(async::Loop& l, Options o, obs::Metrics& m, failpoint::Controller* f);

  void Start();
  void Close();

  // Issuing.
  void Issue(Steps steps, Callback callback, std::string_view order);
  const absl::Status* WhyNot() const;
  void Enqueue(Operation* operation);
  void Fail(Callback callback, const absl::Status& status);
  void EndTurn();
  void Dispatch();
  std::unique_ptr<Group> NextGroup(size_t most);

  // Transactions (transaction.cc).
  void Begin(absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Transaction>>)> callback);
  void IssueIn(Operation::Part part, size_t connection, uint64_t epoch, StoredStep step, Callback callback);
  void EndTransaction(size_t connection, uint64_t epoch, bool commit, absl::AnyInvocable<void(absl::Status)> callback);
  void DispatchTransactions();
  void GiveBack(size_t connection, uint64_t epoch, bool in_order);
  bool SendAlone(Operation* operation, size_t connection);
  bool SendProbe();

  // Ending.
  void OnReady() override;
  void OnRefused(const absl::Status& refused) override;
  void OnEnd(Connection& connection, std::unique_ptr<Group> group) override;
  void OnLost(std::unique_ptr<Group> group, const std::string& why) override;
  void Committed(Operation* operation);
  void RolledBack(Group& group);
  void SendAgain(Operation* operation, bool alone);
  void EndWithError(Operation* operation, const absl::Status& status, async::ProbedBreaker::Result ended);
  void Release(Operation* operation);
  void Expire(Operation* operation, Clock::time_point now);
  void SettleReady(const absl::Status& status);
  bool connected() const;

  // Failpoints (failpoints.cc). True when one has taken the operation over.
  bool ActOn(const Operation& operation) const;
  bool TakenBefore(Operation* operation);
  bool TakenAfter(Operation* operation);

  async::Loop& loop;
  const Options options;
  failpoint::Controller* const failpoints;  // null: none
  ClientMetrics metrics;
  async::ProbedBreaker breaker;
  std::vector<std::shared_ptr<Connection>> connections;
  size_t next_connection = 0;
  bool closed = false;

  OperationPool pool;
  async::DeadlineList<Operation> unanswered;  // those whose callback is still to be called
  std::deque<Operation*> queue;               // to be sent, in order
  std::deque<Operation*> of_transactions;     // the same of those that have, or want, a connection for themselves
  async::TurnEnd<Callback> turn_end;

  absl::Status refused_us;
  std::vector<absl::AnyInvocable<void(absl::Status)>> when_ready;

  // Made once: a status with a text costs an allocation, and an outage needs many.
  const absl::Status not_connected = absl::UnavailableError("no connection to PostgreSQL");
  const absl::Status breaker_open = absl::UnavailableError("PostgreSQL is failing; the circuit breaker is open");
  const absl::Status closed_by_us = absl::UnavailableError("the PostgreSQL client is closed");
  const absl::Status failed_by_failpoint = absl::UnavailableError("a failpoint failed it before it was sent");
  const absl::Status too_many = absl::ResourceExhaustedError("too many PostgreSQL operations are outstanding");
  const absl::Status never_sent = absl::ResourceExhaustedError("no connection to PostgreSQL was free in time");
  const absl::Status timed_out = absl::DeadlineExceededError("no answer from PostgreSQL in time");
  const absl::Status closing = absl::AbortedError("the PostgreSQL client was closed before the answer");
};

}  // namespace lab::pg
