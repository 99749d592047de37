// The failpoints of this adapter: before and after what it does to PostgreSQL. An operation comes to the first once it
// would be sent, and to the second when its transaction has committed; of a transaction over several turns it is its
// COMMIT that comes ("commit"). Probes and handshakes come to none.
#include <utility>

#include "services/runtime/failpoint/point.h"
#include "services/runtime/pg/client_impl.h"

namespace lab::pg {
namespace {

using failpoint::Action;
using failpoint::Point;
using failpoint::Side;

constexpr failpoint::Evidence kRead = {"pg_operations_total{outcome=\"rejected\",pool=\"pg_read\"}",
                                       "pg_operations_total{outcome=\"timeout\",pool=\"pg_read\"}",
                                       "pg_operation_duration_seconds{pool=\"pg_read\"}"};
constexpr failpoint::Evidence kCommit = {"pg_operations_total{outcome=\"rejected\",pool=\"pg_write\"}",
                                         "pg_operations_total{outcome=\"timeout\",pool=\"pg_write\"}",
                                         "pg_operation_duration_seconds{pool=\"pg_write\"}"};

const Point kReadBefore("pg.read.before", "pg", Side::kBefore, "a read would be sent to PostgreSQL", kRead);
const Point kReadAfter("pg.read.after", "pg", Side::kAfter, "PostgreSQL has answered a read", kRead);
const Point kCommitBefore("pg.commit.before", "pg", Side::kBefore,
                          "a transaction, or its COMMIT, would be sent to PostgreSQL", kCommit);
const Point kCommitAfter("pg.commit.after", "pg", Side::kAfter, "PostgreSQL has committed a transaction", kCommit);

}  // namespace

bool Client::Impl::ActOn(const Operation& operation) const {
  if (operation.part == Operation::Part::kCommit) return true;
  return operation.part == Operation::Part::kWhole && !operation.probe;
}

bool Client::Impl::TakenBefore(Operation* operation) {
  const Point& point = options.read_only ? kReadBefore : kCommitBefore;
  const failpoint::Decision decision = failpoints->Hit(point, operation->steps.front().statement().name());
  if (decision.action == Action::kDelay) {
    operation->stage = Operation::Stage::kDelayed;
    failpoints->After(decision.delay, [weak = weak_from_this(), operation] {
      const auto self = weak.lock();
      if (self != nullptr && !self->closed) self->Enqueue(operation);
    });
    return true;
  }
  if (decision.action != Action::kError) return false;
  unanswered.Remove(operation);
  metrics.rejected.Increment();
  Fail(std::exchange(operation->callback, nullptr), failed_by_failpoint);
  // A transaction whose COMMIT is not sent is still open.
  if (operation->part == Operation::Part::kCommit) {
    EndTransaction(operation->connection, operation->epoch, false, nullptr);
  }
  Release(operation);
  return true;
}

bool Client::Impl::TakenAfter(Operation* operation) {
  if (!ActOn(*operation) || operation->stage == Operation::Stage::kHeld) return false;
  if (operation->part == Operation::Part::kCommit && Result(operation->results.front().get()).tag() != "COMMIT") {
    return false;  // rolled back, because a statement had failed
  }
  const Point& point = options.read_only ? kReadAfter : kCommitAfter;
  const failpoint::Decision decision = failpoints->Hit(point, operation->steps.front().statement().name());
  if (decision.action == Action::kApplyThenTimeout) {
    operation->stage = Operation::Stage::kSwallowed;  // it stays among those that wait, for its deadline
    return true;
  }
  if (decision.action != Action::kDelay) return false;
  operation->stage = Operation::Stage::kHeld;
  failpoints->After(decision.delay, [weak = weak_from_this(), operation] {
    const auto self = weak.lock();
    if (self != nullptr && !self->closed) self->Committed(operation);
  });
  return true;
}

}  // namespace lab::pg
