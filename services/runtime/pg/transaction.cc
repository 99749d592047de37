#include <algorithm>
#include <string_view>
#include <utility>

#include "services/runtime/pg/client_impl.h"

namespace lab::pg {
namespace {

const Statement& BeginStatement() {
  static const Statement statement("begin", "BEGIN");
  return statement;
}
const Statement& CommitStatement() {
  static const Statement statement("commit", "COMMIT");
  return statement;
}
const Statement& RollbackStatement() {
  static const Statement statement("rollback", "ROLLBACK");
  return statement;
}

StoredStep Bare(const Statement& statement) { return {statement, absl::Span<const Param>()}; }

absl::Status Lost() { return absl::AbortedError("the transaction was lost with its connection"); }

}  // namespace

void Client::Impl::Begin(absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Transaction>>)> callback) {
  auto place = std::make_shared<std::pair<size_t, uint64_t>>();  // shared with the operation, which learns it when sent
  auto begun = [weak = weak_from_this(), place,
                callback = std::move(callback)](const absl::StatusOr<Results>& results) mutable {
    if (!results.ok()) return callback(results.status());
    callback(std::unique_ptr<Transaction>(new Transaction(std::move(weak), place->first, place->second)));
  };
  if (const absl::Status* why = WhyNot(); why != nullptr) {
    metrics.rejected.Increment();
    return Fail(std::move(begun), *why);
  }
  Operation* operation = pool.Take();
  operation->callback = std::move(begun);
  operation->place = place;
  operation->steps.push_back(Bare(BeginStatement()));
  operation->start = Clock::now();
  operation->part = Operation::Part::kBegin;
  operation->alone = true;
  unanswered.Add(operation);
  Enqueue(operation);
}

void Client::Impl::IssueIn(Operation::Part part, size_t connection, uint64_t epoch, StoredStep step,
                           Callback callback) {
  if (closed || connections[connection]->epoch() != epoch) return Fail(std::move(callback), Lost());
  Operation* operation = pool.Take();
  operation->callback = std::move(callback);
  operation->steps.push_back(std::move(step));
  operation->start = Clock::now();
  operation->part = part;
  operation->connection = connection;
  operation->epoch = epoch;
  operation->alone = true;
  unanswered.Add(operation);
  turn_end.Ensure();
  if (failpoints != nullptr && part == Operation::Part::kCommit && TakenBefore(operation)) return;
  Enqueue(operation);
}

void Client::Impl::EndTransaction(size_t connection, uint64_t epoch, bool commit,
                                  absl::AnyInvocable<void(absl::Status)> callback) {
  auto ended = [commit, callback = std::move(callback)](const absl::StatusOr<Results>& results) mutable {
    if (!callback) return;
    if (!results.ok()) return callback(results.status());
    const bool committed = !commit || (*results)[0].tag() == "COMMIT";
    callback(committed ? absl::OkStatus()
                       : absl::FailedPreconditionError("rolled back: a statement of the transaction had failed"));
  };
  const Operation::Part part = commit ? Operation::Part::kCommit : Operation::Part::kRollback;
  IssueIn(part, connection, epoch, Bare(commit ? CommitStatement() : RollbackStatement()), std::move(ended));
}

// What did not end in order ends with its connection.
void Client::Impl::GiveBack(size_t connection, uint64_t epoch, bool in_order) {
  Connection& used = *connections[connection];
  if (used.epoch() != epoch) return;
  in_order ? used.Reserve(false) : used.Replace("a transaction did not end in order");
  turn_end.Ensure();
}

// In order, and before the groups of others, so that one that begins gets the connection that has just become idle.
void Client::Impl::DispatchTransactions() {
  std::deque<Operation*> waiting;
  waiting.swap(of_transactions);
  for (Operation* operation : waiting) {
    if (!operation->callback && operation->stage == Operation::Stage::kWaiting) {  // expired while it waited
      Release(operation);
      continue;
    }
    if (operation->part != Operation::Part::kBegin) {
      if (!SendAlone(operation, operation->connection)) {
        EndWithError(operation, Lost(), async::ProbedBreaker::Result::kNoAnswer);
      }
      continue;
    }
    const auto idle = std::find_if(connections.begin(), connections.end(),
                                   [](const auto& one) { return one->idle() && !one->reserved(); });
    if (idle == connections.end()) {
      of_transactions.push_back(operation);
      continue;
    }
    (*idle)->Reserve(true);
    operation->connection = static_cast<size_t>(idle - connections.begin());
    operation->epoch = (*idle)->epoch();
    *operation->place = {operation->connection, operation->epoch};
    SendAlone(operation, operation->connection);
  }
}

bool Client::Impl::SendAlone(Operation* operation, size_t connection) {
  Connection& to = *connections[connection];
  if (!to.ready() || to.epoch() != operation->epoch) return false;
  operation->stage = Operation::Stage::kSent;
  auto group = std::make_unique<Group>();
  group->operations.push_back(operation);
  to.Send(std::move(group));
  loop.ExpectReply();
  return true;
}

Transaction::~Transaction() {
  if (!ended_) Rollback();
}

void Transaction::Execute(const Statement& statement, absl::Span<const Param> params, Client::Callback callback) {
  const auto client = client_.lock();
  if (client == nullptr || ended_) return callback(Lost());
  client->IssueIn(Operation::Part::kStatement, connection_, epoch_, StoredStep(statement, params), std::move(callback));
}

void Transaction::Commit(absl::AnyInvocable<void(absl::Status)> callback) {
  const auto client = client_.lock();
  if (client == nullptr || ended_) return callback(Lost());
  ended_ = true;
  client->EndTransaction(connection_, epoch_, true, std::move(callback));
}

void Transaction::Rollback() {
  const auto client = client_.lock();
  if (client == nullptr || ended_) return;
  ended_ = true;
  client->EndTransaction(connection_, epoch_, false, nullptr);
}

}  // namespace lab::pg
