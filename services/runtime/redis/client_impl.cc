#include "services/runtime/redis/client_impl.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <utility>

#include "services/runtime/obs/log.h"
#include "services/runtime/redis/protocol.h"

namespace lab::redis {
namespace {

using Result = async::ProbedBreaker::Result;

// A call is sent again this often for NOSCRIPT; more than once only when scripts are flushed at that very moment.
constexpr int kMaxResends = 3;

Options Bounded(Options options) {
  options.connections = std::max(options.connections, 1);
  options.max_outstanding = std::max(options.max_outstanding, 1);
  options.reconnect_min = std::max<Nanos>(options.reconnect_min, Millis(1));
  options.reconnect_max = std::max(options.reconnect_max, options.reconnect_min);
  return options;
}

double Seconds(Nanos duration) { return std::chrono::duration<double>(duration).count(); }

obs::Counter& Outcome(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("redis_operations_total", "Operations by how they ended", {{"outcome", outcome}});
}

}  // namespace

ClientMetrics::ClientMetrics(obs::Metrics& m)
    : ok(Outcome(m, "ok")),
      error(Outcome(m, "error")),
      timeout(Outcome(m, "timeout")),
      rejected(Outcome(m, "rejected")),
      lost(Outcome(m, "lost")),
      duration(m.AddHistogram("redis_operation_duration_seconds",
                              "From the call of an operation that was sent to its end", obs::LatencyBuckets())),
      outstanding(m.AddGauge("redis_outstanding", "Operations that Redis has yet to answer, expired ones included")),
      breaker(m.AddGauge("redis_breaker_state", "State of the circuit breaker: 0 closed, 1 open, 2 half-open")),
      late(m.AddCounter("redis_late_replies_total", "Replies to expired operations, dropped")),
      connection{m.AddCounter("redis_writes_total", "Writes to connections"),
                 m.AddCounter("redis_commands_total", "Commands sent, with handshakes, probes and repetitions"),
                 m.AddCounter("redis_reconnects_total", "Connections that stood again after a loss")} {}

// ---- issuing ----

Client::Impl::Impl(async::Loop& l, Options o, obs::Metrics& m, failpoint::Controller* f)
    : loop(l),
      options(Bounded(std::move(o))),
      failpoints(f),
      metrics(m),
      breaker(l, options.breaker, metrics.breaker,
              {[this] { return SendProbe(); },
               [this](bool opened, uint64_t not_logged) {
                 obs::Log(obs::Level::kWarn, opened ? "redis_breaker_opened" : "redis_breaker_closed",
                          {{"host", options.host}, {"port", options.port}, {"events_not_logged", not_logged}});
               }}),
      waiting(l.io(), options.deadline,
              [this](Operation* operation, Clock::time_point now) { Expire(operation, now); }),
      turn_end(l) {}

void Client::Impl::Start() {
  loop.AtTurnEnd(async::Loop::Phase::kStoreWrite, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->EndTurn();
  });
  for (int i = 0; i < options.connections; ++i) {
    connections.push_back(std::make_shared<Connection>(loop, options, *this, metrics.connection));
    connections.back()->Start();
  }
}

Connection* Client::Impl::NextReady() {
  for (size_t i = 0; i < connections.size(); ++i) {
    Connection* connection = connections[next_connection].get();
    next_connection = next_connection + 1 == connections.size() ? 0 : next_connection + 1;
    if (connection->ready()) return connection;
  }
  return nullptr;
}

// The connection for one more operation; or null, and the callback is on its way.
Connection* Client::Impl::Admit(Callback& callback) {
  const absl::Status* why = nullptr;
  Connection* connection = nullptr;
  if (closed) {
    why = &closed_by_us;
  } else if (!refusal.ok()) {
    why = &refusal;
  } else if (!breaker.closed()) {
    why = &breaker_open;
  } else if (pool.taken() >= static_cast<size_t>(options.max_outstanding)) {
    why = &too_many;
  } else if ((connection = NextReady()) == nullptr) {
    why = &not_connected;
  }
  if (why == nullptr) return connection;
  metrics.rejected.Increment();
  Fail(std::move(callback), *why);
  return nullptr;
}

Operation* Client::Impl::NewOperation(Connection* connection, Callback callback) {
  Operation* operation = pool.Take();
  operation->callback = std::move(callback);
  operation->start = Clock::now();
  operation->connection = connection;
  return operation;
}

void Client::Impl::Send(Operation* operation, std::string_view command, std::string_view name) {
  waiting.Add(operation);
  turn_end.Ensure();
  if (failpoints != nullptr && TakenBefore(operation, command, name)) return;
  operation->connection->Send(command, operation);
}

void Client::Impl::Fail(Callback callback, const absl::Status& status) {
  if (closed) {
    // No end of a turn will look after it: the client may be gone by then.
    return loop.Post([callback = std::move(callback), status]() mutable { callback(status); });
  }
  turn_end.Fail(std::move(callback), status);
}

void Client::Impl::EndTurn() {
  turn_end.Begin();
  bool wrote = false;
  for (const auto& connection : connections) wrote = connection->Flush() || wrote;
  if (wrote) loop.ExpectReply();
  if (pool.taken() != shown_outstanding) {
    shown_outstanding = pool.taken();
    metrics.outstanding.Set(static_cast<double>(shown_outstanding));
  }
  turn_end.End();
}

// ---- ending ----

void Client::Impl::OnReply(Connection& connection, void* token, const redisReply* reply) {
  auto* operation = static_cast<Operation*>(token);
  if (!operation->callback) {
    if (reply != nullptr) metrics.late.Increment();
    const bool alive = reply != nullptr && operation->probe;
    pool.Return(operation);
    if (alive) breaker.Probe();
    return;
  }
  const bool is_error = reply != nullptr && reply->type == REDIS_REPLY_ERROR;
  if (is_error && SendAgain(operation, TextOf(reply))) return;
  if (failpoints != nullptr && reply != nullptr && !is_error && TakenAfter(operation, reply)) return;
  Deliver(operation, reply, reply != nullptr ? connection.progress_at() : Clock::now());
}

// Ends an operation whose answer has come, or whose connection was lost (null).
void Client::Impl::Deliver(Operation* operation, const redisReply* reply, Clock::time_point now) {
  waiting.Remove(operation);
  Callback callback = std::exchange(operation->callback, nullptr);
  const bool probe = operation->probe;
  if (!probe) metrics.duration.Observe(Seconds(now - operation->start));
  pool.Return(operation);

  if (reply == nullptr) {
    // hiredis is in the middle of freeing the connection: the callback waits for the end of the turn.
    if (!probe) metrics.lost.Increment();
    if (!probe) breaker.Count(Result::kNoAnswer, now);
    return Fail(std::move(callback), lost);
  }
  if (reply->type != REDIS_REPLY_ERROR) {
    if (!probe) metrics.ok.Increment();
    if (!probe) breaker.Count(Result::kAnswer, now);
    return callback(Reply(reply));
  }
  const absl::Status status = StatusOfError(TextOf(reply));
  if (!probe) metrics.error.Increment();
  if (!probe) breaker.Count(absl::IsFailedPrecondition(status) ? Result::kRefusal : Result::kAnswer, now);
  callback(status);
}

// After NOSCRIPT: the text, unless it is under way on this connection, and the call again behind it. The server runs a
// connection's commands in order, so a NOSCRIPT that comes after the load was answered means another flush.
bool Client::Impl::SendAgain(Operation* operation, std::string_view error) {
  if (operation->script == nullptr || !IsNoScript(error) || operation->resends >= kMaxResends) return false;
  if (!operation->connection->ready()) return false;
  ++operation->resends;
  operation->connection->LoadScript(*operation->script);
  operation->connection->Send(operation->command, operation);
  return true;
}

void Client::Impl::Expire(Operation* operation, Clock::time_point now) {
  Callback callback = std::exchange(operation->callback, nullptr);
  if (!operation->probe) {
    metrics.timeout.Increment();
    metrics.duration.Observe(Seconds(now - operation->start));
    breaker.Count(Result::kNoAnswer, now);
  }
  if (operation->answer == Operation::Answer::kSwallowed) {
    pool.Return(operation);  // nothing more comes
  } else {
    operation->connection->Suspect(now);  // may lose the connection, and the operation with it
  }
  callback(timed_out);
}

void Client::Impl::Close() {
  if (closed) return;
  closed = true;
  waiting.Stop();
  breaker.Stop();
  for (const auto& connection : connections) connection->Close();
  while (Operation* operation = waiting.front()) {
    waiting.Remove(operation);
    Callback callback = std::exchange(operation->callback, nullptr);
    if (!operation->probe) metrics.lost.Increment();
    callback(closing);
  }
  turn_end.Close();
  auto settled = std::exchange(when_ready, {});
  for (auto& callback : settled) callback(closing);
  metrics.outstanding.Set(0);
}

void Client::Impl::OnReady() {
  refusal = absl::OkStatus();
  breaker.Connected();
  SettleReady(refusal);
  TellConnection(true);
}

void Client::Impl::OnLost() { TellConnection(false); }

void Client::Impl::TellConnection(bool stands) {
  for (size_t i = 0; i < on_connection.size() && !closed; ++i) on_connection[i](stands);
}

void Client::Impl::OnRefused(const absl::Status& refused) {
  refusal = refused;
  SettleReady(refusal);
}

void Client::Impl::SettleReady(const absl::Status& status) {
  for (auto& callback : std::exchange(when_ready, {})) {
    loop.Post([callback = std::move(callback), status]() mutable { callback(status); });
  }
}

// ---- the breaker ----

bool Client::Impl::SendProbe() {
  Connection* connection = closed ? nullptr : NextReady();
  if (connection == nullptr) return false;
  static const std::string kPing = FormatCommand({"PING"});
  Operation* operation =
      NewOperation(connection, [this](const absl::StatusOr<Reply>& reply) { breaker.Probed(reply.ok()); });
  operation->probe = true;
  Send(operation, kPing, "");
  return true;
}

}  // namespace lab::redis
