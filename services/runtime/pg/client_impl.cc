#include "services/runtime/pg/client_impl.h"

#include <algorithm>
#include <utility>

#include "services/runtime/obs/log.h"
#include "services/runtime/pg/errors.h"

namespace lab::pg {
namespace {

using Ended = async::ProbedBreaker::Result;
using Stage = Operation::Stage;

// How often an operation whose group was rolled back by another one shares a group again.
constexpr int kMaxShared = 3;
// How often it is sent in all: conflicts with others may go on.
constexpr int kMaxResends = 8;

Options Bounded(Options options) {
  options.connections = std::max(options.connections, 1);
  options.max_outstanding = std::max(options.max_outstanding, 1);
  options.group_max = std::max(options.group_max, 1);
  options.groups_in_flight = std::max(options.groups_in_flight, 1);
  options.deadline = std::max<Nanos>(options.deadline, Millis(1));
  return options;
}

const Statement& ProbeStatement() {
  static const Statement statement("pg.probe", "SELECT 1");
  return statement;
}

obs::Counter& Outcome(obs::Metrics& metrics, const std::string& pool, const char* outcome) {
  return metrics.AddCounter("pg_operations_total", "Operations by how they ended",
                            {{"pool", pool}, {"outcome", outcome}});
}

double Seconds(Nanos duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

ClientMetrics::ClientMetrics(obs::Metrics& m, const std::string& pool)
    : ok(Outcome(m, pool, "ok")),
      error(Outcome(m, pool, "error")),
      timeout(Outcome(m, pool, "timeout")),
      rejected(Outcome(m, pool, "rejected")),
      lost(Outcome(m, pool, "lost")),
      resent(m.AddCounter("pg_operations_resent_total",
                          "Operations sent again because another one rolled back their group", {{"pool", pool}})),
      late(m.AddCounter("pg_late_results_total", "Results of expired operations, dropped", {{"pool", pool}})),
      duration(m.AddHistogram("pg_operation_duration_seconds", "From the call of an operation that was sent to its end",
                              obs::LatencyBuckets(), {{"pool", pool}})),
      outstanding(m.AddGauge("pg_outstanding", "Operations that PostgreSQL has yet to answer, expired ones included",
                             {{"pool", pool}})),
      waiting(m.AddGauge("pg_waiting", "Operations that wait for a connection to be free", {{"pool", pool}})),
      breaker(m.AddGauge("pg_breaker_state", "State of the circuit breaker: 0 closed, 1 open, 2 half-open",
                         {{"pool", pool}})),
      connection{m.AddCounter("pg_groups_total", "Groups sent, each with a Sync", {{"pool", pool}}),
                 m.AddCounter("pg_statements_total", "Statements sent", {{"pool", pool}}),
                 m.AddCounter("pg_reconnects_total", "Connections that stood again after a loss", {{"pool", pool}})} {}

Client::Impl::Impl(async::Loop& l, Options o, obs::Metrics& m, failpoint::Controller* f)
    : loop(l),
      options(Bounded(std::move(o))),
      failpoints(f),
      metrics(m, options.name),
      breaker(l, options.breaker, metrics.breaker,
              {[this] { return SendProbe(); },
               [this](bool opened, uint64_t not_logged) {
                 obs::Log(obs::Level::kWarn, opened ? "pg_breaker_opened" : "pg_breaker_closed",
                          {{"pool", options.name}, {"host", options.host}, {"events_not_logged", not_logged}});
               }}),
      unanswered(l.io(), options.deadline,
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

bool Client::Impl::connected() const {
  return std::any_of(connections.begin(), connections.end(), [](const auto& one) { return one->ready(); });
}

// ---- issuing ----

const absl::Status* Client::Impl::WhyNot() const {
  if (closed) return &closed_by_us;
  if (!refused_us.ok()) return &refused_us;
  if (!breaker.closed()) return &breaker_open;
  if (pool.taken() >= static_cast<size_t>(options.max_outstanding)) return &too_many;
  return connected() ? nullptr : &not_connected;
}

void Client::Impl::Issue(Steps steps, Callback callback, std::string_view order) {
  if (const absl::Status* why = WhyNot(); why != nullptr) {
    metrics.rejected.Increment();
    return Fail(std::move(callback), *why);
  }
  Operation* operation = pool.Take();
  operation->callback = std::move(callback);
  operation->steps = std::move(steps);
  operation->order = order;
  operation->start = Clock::now();
  unanswered.Add(operation);
  turn_end.Ensure();
  if (failpoints != nullptr && TakenBefore(operation)) return;
  Enqueue(operation);
}

void Client::Impl::Enqueue(Operation* operation) {
  (operation->part == Operation::Part::kWhole ? queue : of_transactions).push_back(operation);
  turn_end.Ensure();
}

bool Client::Impl::SendProbe() {
  if (closed || !connected()) return false;
  Operation* operation = pool.Take();
  operation->callback = [this](const absl::StatusOr<Results>& results) { breaker.Probed(results.ok()); };
  operation->steps.emplace_back(ProbeStatement(), absl::Span<const Param>());
  operation->start = Clock::now();
  operation->probe = operation->alone = true;
  unanswered.Add(operation);
  queue.push_front(operation);
  turn_end.Ensure();
  return true;
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
  if (!of_transactions.empty()) DispatchTransactions();
  if (!queue.empty()) Dispatch();
  metrics.outstanding.Set(static_cast<double>(pool.taken()));
  metrics.waiting.Set(static_cast<double>(queue.size() + of_transactions.size()));
  turn_end.End();
}

// Shares what waits among the connections that can take more, in groups.
void Client::Impl::Dispatch() {
  bool sent = false;
  for (size_t tried = 0; tried < connections.size() && !queue.empty();) {
    size_t able = 0;
    for (const auto& connection : connections) able += connection->CanTake() ? 1 : 0;
    if (able == 0) break;
    Connection& connection = *connections[next_connection];
    next_connection = (next_connection + 1) % connections.size();
    if (!connection.CanTake()) {
      ++tried;
      continue;
    }
    tried = 0;
    const size_t share = (queue.size() + able - 1) / able;
    std::unique_ptr<Group> group = NextGroup(std::min(share, static_cast<size_t>(options.group_max)));
    if (group == nullptr) continue;
    connection.Send(std::move(group));
    sent = true;
  }
  if (sent) loop.ExpectReply();
}

// The next `most` of those that wait, in the order in which they lock; null when all that are left have expired.
std::unique_ptr<Group> Client::Impl::NextGroup(size_t most) {
  auto group = std::make_unique<Group>();
  while (!queue.empty() && group->operations.size() < most) {
    Operation* operation = queue.front();
    if (!operation->callback && operation->stage == Stage::kWaiting) {  // expired while it waited
      queue.pop_front();
      Release(operation);
      continue;
    }
    if (operation->alone && !group->operations.empty()) break;
    queue.pop_front();
    operation->stage = Stage::kSent;
    group->operations.push_back(operation);
    if (operation->alone) break;
  }
  if (group->operations.empty()) return nullptr;
  std::stable_sort(group->operations.begin(), group->operations.end(),
                   [](const Operation* a, const Operation* b) { return a->order < b->order; });
  return group;
}

// ---- ending ----

void Client::Impl::OnEnd(Connection& connection, std::unique_ptr<Group> group) {
  (void)connection;
  if (group->error != nullptr) return RolledBack(*group);
  for (Operation* operation : group->operations) {
    if (closed) return;  // by a callback; Close has ended the rest
    if (operation->ends()) GiveBack(operation->connection, operation->epoch, true);
    Committed(operation);
  }
  turn_end.Ensure();  // a connection is free again
}

void Client::Impl::Committed(Operation* operation) {
  if (operation->callback && failpoints != nullptr && TakenAfter(operation)) return;
  if (!operation->callback) {
    metrics.late.Increment();
    const bool alive = operation->probe;
    // Nobody has the transaction that has begun.
    if (operation->part == Operation::Part::kBegin) {
      EndTransaction(operation->connection, operation->epoch, false, nullptr);
    }
    Release(operation);
    if (alive) breaker.Probe();
    return;
  }
  unanswered.Remove(operation);
  Callback callback = std::exchange(operation->callback, nullptr);
  const Clock::time_point now = Clock::now();
  if (!operation->probe) {
    metrics.ok.Increment();
    metrics.duration.Observe(Seconds(now - operation->start));
    breaker.Count(async::ProbedBreaker::Result::kAnswer, now);
  }
  const absl::InlinedVector<ResultPtr, 1> kept = std::move(operation->results);
  absl::InlinedVector<const pg_result*, 1> shown;
  for (const ResultPtr& result : kept) shown.push_back(result.get());
  Release(operation);
  callback(Results(shown));
}

// The one that failed gets its error; the others did not happen, and go again.
void Client::Impl::RolledBack(Group& group) {
  const char* const field = PQresultErrorField(group.error.get(), PG_DIAG_SQLSTATE);
  const std::string sqlstate = field == nullptr ? "" : field;
  const Fault fault = FaultOf(sqlstate);
  const bool conflict = fault == Fault::kConflict;
  const Ended ended = fault == Fault::kTooLate   ? Ended::kNoAnswer
                      : fault == Fault::kRefusal ? Ended::kRefusal
                                                 : Ended::kAnswer;
  const bool only = group.operations.size() == 1;
  for (auto it = group.operations.rbegin(); it != group.operations.rend(); ++it) {  // back to the front of the queue
    Operation* operation = *it;
    const bool prepares = group.unprepared != nullptr &&
                          std::any_of(operation->steps.begin(), operation->steps.end(),
                                      [&](const StoredStep& step) { return &step.statement() == group.unprepared; });
    const bool culprit = operation == group.culprit || only || prepares;
    const bool again = conflict && operation->resends < kMaxResends && operation->part == Operation::Part::kWhole;
    if (culprit && !again) {
      const absl::Status status =
          StatusOf(sqlstate, PQresultErrorMessage(group.error.get()), operation->steps.front().statement().name());
      EndWithError(operation, status, ended);
    } else {
      SendAgain(operation, conflict || group.culprit == nullptr || operation->resends >= kMaxShared);
    }
  }
  turn_end.Ensure();
}

void Client::Impl::SendAgain(Operation* operation, bool alone) {
  if (!operation->callback) return Release(operation);
  ++operation->resends;
  operation->stage = Stage::kWaiting;
  operation->alone = operation->alone || alone;
  operation->results.clear();
  metrics.resent.Increment();
  queue.push_front(operation);
}

void Client::Impl::EndWithError(Operation* operation, const absl::Status& status, Ended ended) {
  // Where BEGIN has failed nothing has begun; after what should have ended it, nobody knows.
  if (operation->part == Operation::Part::kBegin && operation->connection != Operation::kAny) {
    GiveBack(operation->connection, operation->epoch, true);
  } else if (operation->ends()) {
    GiveBack(operation->connection, operation->epoch, false);
  }
  if (!operation->callback) {
    metrics.late.Increment();
    return Release(operation);
  }
  unanswered.Remove(operation);
  Callback callback = std::exchange(operation->callback, nullptr);
  const Clock::time_point now = Clock::now();
  if (!operation->probe) {
    (absl::IsAborted(status) ? metrics.lost : metrics.error).Increment();
    metrics.duration.Observe(Seconds(now - operation->start));
    breaker.Count(ended, now);
  }
  Release(operation);
  Fail(std::move(callback), status);
}

void Client::Impl::OnLost(std::unique_ptr<Group> group, const std::string& why) {
  const absl::Status lost = absl::AbortedError("the connection to PostgreSQL was lost before its answer: " + why);
  for (Operation* operation : group->operations) EndWithError(operation, lost, Ended::kNoAnswer);
}

void Client::Impl::Release(Operation* operation) { pool.Return(operation); }

void Client::Impl::Expire(Operation* operation, Clock::time_point now) {
  Callback callback = std::exchange(operation->callback, nullptr);
  const Stage stage = operation->stage;
  const bool known = stage == Stage::kWaiting;  // not to have happened
  if (!operation->probe) {
    (known ? metrics.rejected : metrics.timeout).Increment();
    if (!known) metrics.duration.Observe(Seconds(now - operation->start));
    if (!known) breaker.Count(Ended::kNoAnswer, now);
  }
  if (stage == Stage::kSwallowed) {
    Release(operation);
  } else if (operation->connection != Operation::kAny && (known || (operation->ends() && stage == Stage::kSent))) {
    // A transaction that misses one of its parts, or does not come to its end. May release the operation.
    GiveBack(operation->connection, operation->epoch, false);
  }
  for (const auto& connection : connections) connection->Suspect(now);
  callback(known ? never_sent : timed_out);
}

void Client::Impl::Close() {
  if (closed) return;
  closed = true;
  breaker.Stop();
  unanswered.Stop();
  for (const auto& connection : connections) connection->Close();
  while (Operation* operation = unanswered.front()) {
    unanswered.Remove(operation);
    Callback callback = std::exchange(operation->callback, nullptr);
    if (!operation->probe) metrics.lost.Increment();
    callback(closing);
  }
  queue.clear();
  of_transactions.clear();
  turn_end.Close();
  auto settled = std::exchange(when_ready, {});
  for (auto& callback : settled) callback(closing);
  metrics.outstanding.Set(0);
  metrics.waiting.Set(0);
}

void Client::Impl::OnReady() {
  refused_us = absl::OkStatus();
  breaker.Connected();
  SettleReady(refused_us);
  turn_end.Ensure();
}

void Client::Impl::OnRefused(const absl::Status& refused) {
  refused_us = refused;
  SettleReady(refused_us);
}

void Client::Impl::SettleReady(const absl::Status& status) {
  for (auto& callback : std::exchange(when_ready, {})) {
    loop.Post([callback = std::move(callback), status]() mutable { callback(status); });
  }
}

}  // namespace lab::pg
