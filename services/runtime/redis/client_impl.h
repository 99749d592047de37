#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/async/deadline_list.h"
#include "services/runtime/async/probed_breaker.h"
#include "services/runtime/async/turn_end.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/connection.h"
#include "services/runtime/redis/operation.h"

namespace lab::redis {

struct ClientMetrics {
  explicit ClientMetrics(obs::Metrics& metrics);

  obs::Counter& ok;
  obs::Counter& error;
  obs::Counter& timeout;
  obs::Counter& rejected;  // not sent
  obs::Counter& lost;
  obs::Histogram& duration;
  obs::Gauge& outstanding;
  obs::Gauge& breaker;
  obs::Counter& late;
  Connection::Counters connection;
};

struct Client::Impl : std::enable_shared_from_this<Client::Impl>, Connection::Listener {
  Impl(async::Loop& l, Options o, obs::Metrics& m, failpoint::Controller* f);

  void Start();
  void Close();

  // Issuing.
  Connection* Admit(Callback& callback);
  Connection* NextReady();
  Operation* NewOperation(Connection* connection, Callback callback);
  void Send(Operation* operation, std::string_view command, std::string_view name);
  void Fail(Callback callback, const absl::Status& status);
  void EndTurn();

  // Ending.
  void OnReady() override;
  void OnLost() override;
  void TellConnection(bool stands);
  void OnRefused(const absl::Status& refused) override;
  void OnReply(Connection& connection, void* token, const redisReply* reply) override;
  void Deliver(Operation* operation, const redisReply* reply, Clock::time_point now);
  bool SendAgain(Operation* operation, std::string_view error);
  void Expire(Operation* operation, Clock::time_point now);
  void SettleReady(const absl::Status& status);

  // Failpoints (failpoints.cc). True when one has taken the operation over.
  bool TakenBefore(Operation* operation, std::string_view command, std::string_view name);
  bool TakenAfter(Operation* operation, const redisReply* reply);
  void SendLate(Operation* operation);

  bool SendProbe();

  async::Loop& loop;
  const Options options;
  failpoint::Controller* const failpoints;  // null: none
  ClientMetrics metrics;
  async::ProbedBreaker breaker;
  std::vector<std::shared_ptr<Connection>> connections;
  size_t next_connection = 0;
  bool closed = false;

  OperationPool pool;
  async::DeadlineList<Operation> waiting;  // those whose callback is still to be called
  std::string scratch;                     // the command that is being formatted
  size_t shown_outstanding = 0;

  async::TurnEnd<Callback> turn_end;

  absl::Status refusal;
  std::vector<std::function<void(bool)>> on_connection;
  std::vector<absl::AnyInvocable<void(absl::Status)>> when_ready;

  // Made once: a status with a text costs an allocation, and an outage needs many.
  const absl::Status not_connected = absl::UnavailableError("no connection to Redis");
  const absl::Status breaker_open = absl::UnavailableError("Redis is failing; the circuit breaker is open");
  const absl::Status closed_by_us = absl::UnavailableError("the Redis client is closed");
  const absl::Status failed_by_failpoint = absl::UnavailableError("a failpoint failed it before it was sent");
  const absl::Status too_many = absl::ResourceExhaustedError("too many Redis operations are outstanding");
  const absl::Status timed_out = absl::DeadlineExceededError("no answer from Redis in time");
  const absl::Status closing = absl::AbortedError("the Redis client was closed before the answer");
  const absl::Status lost = absl::AbortedError("the connection to Redis was lost before its answer");
};

}  // namespace lab::redis
