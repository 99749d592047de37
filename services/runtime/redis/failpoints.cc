// The failpoints of this adapter: before and after what it does to Redis. An operation comes to the first once it would
// be sent, and to the second when its answer is there and no error. Probes and handshakes come to none.
#include <hiredis/hiredis.h>

#include <memory>
#include <utility>

#include "services/runtime/failpoint/point.h"
#include "services/runtime/redis/client_impl.h"
#include "services/runtime/redis/owned_reply.h"

namespace lab::redis {
namespace {

using failpoint::Action;
using failpoint::Point;
using failpoint::Side;

constexpr failpoint::Evidence kEvidence = {"redis_operations_total{outcome=\"rejected\"}",
                                           "redis_operations_total{outcome=\"timeout\"}",
                                           "redis_operation_duration_seconds"};

const Point kScriptBefore("redis.script.before", "redis", Side::kBefore, "a script call would be sent to Redis",
                          kEvidence);
const Point kScriptAfter("redis.script.after", "redis", Side::kAfter, "Redis has run a script and its answer is here",
                         kEvidence);
const Point kCommandBefore("redis.command.before", "redis", Side::kBefore, "a command would be sent to Redis",
                           kEvidence);
const Point kCommandAfter("redis.command.after", "redis", Side::kAfter,
                          "Redis has executed a command and its answer is here", kEvidence);

}  // namespace

bool Client::Impl::TakenBefore(Operation* operation, std::string_view command, std::string_view name) {
  if (operation->probe) return false;
  operation->name = name;
  const Point& point = operation->script != nullptr ? kScriptBefore : kCommandBefore;
  const failpoint::Decision decision = failpoints->Hit(point, name);
  if (decision.action == Action::kDelay) {
    if (operation->script == nullptr) operation->command = command;
    failpoints->After(decision.delay, [weak = weak_from_this(), operation] {
      const auto self = weak.lock();
      if (self != nullptr && !self->closed) self->SendLate(operation);
    });
    return true;
  }
  if (decision.action != Action::kError) return false;
  waiting.Remove(operation);
  metrics.rejected.Increment();
  Fail(std::exchange(operation->callback, nullptr), failed_by_failpoint);
  pool.Return(operation);
  return true;
}

// Sent also when its caller has been told DEADLINE_EXCEEDED meanwhile: a command that is late takes effect.
void Client::Impl::SendLate(Operation* operation) {
  Connection* connection = NextReady();
  if (connection != nullptr) {
    turn_end.Ensure();
    operation->connection = connection;
    connection->Send(operation->command, operation);
    return;
  }
  if (operation->callback) {
    waiting.Remove(operation);
    metrics.rejected.Increment();
    Fail(std::exchange(operation->callback, nullptr), not_connected);
  }
  pool.Return(operation);
}

bool Client::Impl::TakenAfter(Operation* operation, const redisReply* reply) {
  if (operation->probe) return false;
  const Point& point = operation->script != nullptr ? kScriptAfter : kCommandAfter;
  const failpoint::Decision decision = failpoints->Hit(point, operation->name);
  if (decision.action == Action::kApplyThenTimeout) {
    operation->answer = Operation::Answer::kSwallowed;  // it stays in the list of those that wait, for its deadline
    return true;
  }
  if (decision.action != Action::kDelay) return false;
  operation->answer = Operation::Answer::kHeld;
  auto held = std::make_shared<OwnedReply>(reply);  // shared only because the handler must be movable
  failpoints->After(decision.delay, [weak = weak_from_this(), operation, held = std::move(held)] {
    const auto self = weak.lock();
    if (self == nullptr || self->closed) return;
    if (operation->callback) return self->Deliver(operation, held->get(), Clock::now());
    self->metrics.late.Increment();
    self->pool.Return(operation);
  });
  return true;
}

}  // namespace lab::redis
