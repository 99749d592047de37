#include "services/cacheapi/feed/outbox_relay.h"

#include <algorithm>
#include <utility>

#include "services/runtime/async/doubled.h"

namespace lab::cacheapi {
namespace {

// In the order of their writing as far as that goes; who comes second skips what the first has locked.
constexpr char kTake[] = R"sql(
DELETE FROM outbox WHERE id IN (SELECT id FROM outbox ORDER BY id LIMIT $1::int FOR UPDATE SKIP LOCKED)
RETURNING brand_id, version, (extract(epoch FROM clock_timestamp() - created_at) * 1000000)::bigint
)sql";

}  // namespace

OutboxRelay::Metrics::Metrics(obs::Metrics& m)
    : told(m.AddCounter("cacheapi_outbox_told_total", "Rows of the outbox that L2 has been told of")),
      failures(m.AddCounter("cacheapi_outbox_failures_total", "Batches of the outbox that have to be told again")),
      lag(m.AddHistogram("cacheapi_outbox_lag_seconds", "From the writing of a row until it was read for telling",
                         obs::LatencyBuckets())) {}

OutboxRelay::OutboxRelay(async::Loop& loop, pg::Client& pool, redis::Client& redis, ApplyChange apply, Options options,
                         obs::Metrics& metrics)
    : pool_(pool),
      redis_(redis),
      options_(options),
      metrics_(metrics),
      take_("outbox.take", kTake),
      teller_(std::move(apply)),
      timer_(loop.io()),
      alive_(std::make_shared<bool>(true)) {
  After(Nanos(0));
}

OutboxRelay::~OutboxRelay() { *alive_ = false; }

void OutboxRelay::After(Nanos wait) {
  if (steps_.gated()) {
    return steps_.Take([this, alive = alive_] {
      if (*alive) Poll();
    });
  }
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    steps_.gated() ? After(Nanos(0)) : Poll();
  });
}

void OutboxRelay::Poll() {
  if (!redis_.connected() || !pool_.connected()) return After(options_.idle);
  pool_.Begin([this, alive = alive_](absl::StatusOr<std::unique_ptr<pg::Transaction>> begun) {
    if (!*alive) return;
    if (!begun.ok()) return Failed();
    transaction_ = *std::move(begun);
    Take();
  });
}

void OutboxRelay::Take() {
  const pg::Param params[] = {options_.batch};
  transaction_->Execute(take_, params, [this, alive = alive_](absl::StatusOr<pg::Results> results) {
    if (!*alive) return;
    results.ok() ? Taken((*results)[0]) : Failed();
  });
}

void OutboxRelay::Taken(const pg::Result& rows) {
  rows_ = rows.rows();
  if (rows_ == 0) {
    transaction_.reset();
    failed_ = 0;
    return After(async::Doubled(options_.poll, idle_++, options_.idle));
  }
  idle_ = 0;
  Teller::Brands brands;
  int64_t oldest = 0;
  for (int i = 0; i < rows_; ++i) {
    uint64_t& newest = brands[std::string(rows.text(i, 0))];
    newest = std::max(newest, static_cast<uint64_t>(rows.integer(i, 1)));
    oldest = std::max(oldest, rows.integer(i, 2));
  }
  metrics_.lag.Observe(static_cast<double>(oldest) / 1e6);
  watched_ = std::any_of(brands.begin(), brands.end(), [this](const auto& one) { return steps_.Watches(one.first); });
  telling_ = true;
  teller_.Tell(std::move(brands), [this](const absl::Status& status) { Told(status); });
  if (telling_) steps_.Rests();
}

void OutboxRelay::Told(const absl::Status& status) {
  telling_ = false;
  steps_.Works();
  if (!status.ok()) return Failed();
  if (!watched_) return Commit();
  steps_.At(
      Step::kCommit,
      [this, alive = alive_] {
        if (*alive) Commit();
      },
      [this, alive = alive_] {
        if (*alive) Failed();
      });
}

void OutboxRelay::Commit() {
  std::unique_ptr<pg::Transaction> ending = std::move(transaction_);
  pg::Transaction& committing = *ending;
  committing.Commit([this, alive = alive_, ending = std::move(ending)](const absl::Status& status) {
    if (!*alive) return;
    if (!status.ok()) return Failed();  // then the rows stay, or they are gone and L2 has been told
    metrics_.told.Increment(rows_);
    failed_ = 0;
    After(rows_ == options_.batch ? Nanos(0) : options_.poll);
  });
}

void OutboxRelay::Failed() {
  transaction_.reset();  // rolls back
  metrics_.failures.Increment();
  After(async::Doubled(options_.poll, failed_++, options_.retry));
}

}  // namespace lab::cacheapi
