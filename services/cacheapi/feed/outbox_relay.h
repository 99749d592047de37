#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/gate/feed_steps.h"
#include "services/cacheapi/write/apply_change.h"
#include "services/cacheapi/write/teller.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/pg/client.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// The transactional outbox: each write leaves a row of what it has changed in its own transaction, and this tells L2 of
// the rows. So an invalidation is as durable as its write, whatever becomes of the writer (race 4).
//
// In one transaction it takes rows away (DELETE … FOR UPDATE SKIP LOCKED), tells L2 of the newest version of each of
// their brands, and commits once L2 has been told of all; otherwise it rolls back, and the rows stay. It dies, and the
// rows stay. They may be told twice, and in another order than they were committed in: both is harmless (race 16),
// since L2 is deleted from and never set. Several processes relay at once, each other rows. Nobody asks for what is
// beyond a position: the numbers of rows are not in the order of their commits, and one that commits late would be left
// out.
//
// Polls: `poll` after a batch that had rows, at once after a full one, and ever more rarely up to `idle` while there
// are none. That is what an invalidation waits for; NOTIFY would wake it, at half of the throughput of writes
// (reference: PostgreSQL facts).
//   cacheapi_outbox_told_total, cacheapi_outbox_failures_total
//   cacheapi_outbox_lag_seconds   from the row's writing until it was read for telling, of the oldest of a batch
class OutboxRelay {
 public:
  struct Options {
    Nanos poll = Millis(5);
    Nanos idle = Millis(100);
    Nanos retry = Millis(1000);  // longest wait after a failure
    int batch = 256;             // rows of a transaction
  };
  // `pool` is its own: one connection is taken from the first row until L2 has been told. `redis`: while it is not
  // connected no row is taken. Begins by itself.
  OutboxRelay(async::Loop& loop, pg::Client& pool, redis::Client& redis, ApplyChange apply, Options options,
              obs::Metrics& metrics);
  ~OutboxRelay();
  OutboxRelay(const OutboxRelay&) = delete;
  OutboxRelay& operator=(const OutboxRelay&) = delete;

  // Held at its steps: take, commit; between them those of `apply`. At once after it was made; may be null.
  void HoldAt(StepGate* gate) { steps_ = FeedSteps(gate); }

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &told, &failures;
    obs::Histogram& lag;
  };
  void Poll();
  void Take();
  void Taken(const pg::Result& rows);
  void Told(const absl::Status& status);
  void Commit();
  void Failed();
  void After(Nanos wait);

  pg::Client& pool_;
  redis::Client& redis_;
  const Options options_;
  Metrics metrics_;
  FeedSteps steps_;
  const pg::Statement take_;
  std::unique_ptr<pg::Transaction> transaction_;
  Teller teller_;
  int rows_ = 0;
  bool watched_ = false;  // the watched brand is in the batch
  bool telling_ = false;
  int idle_ = 0, failed_ = 0;  // in a row
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
