#include "services/cacheapi/write/request_pruner.h"

#include <cstdint>

#include "absl/status/statusor.h"

namespace lab::cacheapi {

RequestPruner::RequestPruner(async::Loop& loop, RequestIds& ids, const Options& options, obs::Metrics& metrics)
    : ids_(ids),
      options_(options),
      forgotten_(metrics.AddCounter("cacheapi_requests_forgotten_total", "Request ids that have become too old")),
      failures_(metrics.AddCounter("cacheapi_request_prune_failures_total", "Times that none could be forgotten")),
      timer_(loop.io()),
      alive_(std::make_shared<bool>(true)) {}

RequestPruner::~RequestPruner() { *alive_ = false; }

void RequestPruner::Start() { After(options_.pause); }

void RequestPruner::After(Nanos wait) {
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (*alive && !error) Prune();
  });
}

void RequestPruner::Prune() {
  ids_.Forget(options_.remember, options_.batch, [this, alive = alive_](const absl::StatusOr<int64_t>& ids) {
    if (!*alive) return;
    if (ids.ok()) {
      forgotten_.Increment(static_cast<double>(*ids));
    } else {
      failures_.Increment();
    }
    After(ids.value_or(0) == options_.batch ? options_.pause : options_.every);
  });
}

}  // namespace lab::cacheapi
