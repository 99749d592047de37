#include "services/cacheapi/write/undecided_writes.h"

#include <algorithm>
#include <utility>

#include "services/runtime/async/doubled.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {
namespace {

obs::Counter& Fate(obs::Metrics& metrics, const char* fate) {
  return metrics.AddCounter("cacheapi_writes_decided_total", "Writes of unknown outcome, by what became of them",
                            {{"fate", fate}});
}

}  // namespace

UndecidedWrites::UndecidedWrites(async::Loop& loop, RequestIds& ids, Applied applied, const Options& options,
                                 obs::Metrics& metrics)
    : ids_(ids),
      applied_(std::move(applied)),
      options_(options),
      undecided_(metrics.AddGauge("cacheapi_undecided_writes", "Writes whose outcome is not known yet")),
      happened_(Fate(metrics, "applied")),
      given_up_(Fate(metrics, "given_up")),
      timer_(loop.io()),
      alive_(std::make_shared<bool>(true)) {}

UndecidedWrites::~UndecidedWrites() { *alive_ = false; }

void UndecidedWrites::Add(std::string_view brand, std::string_view request_id) {
  waiting_.push_back({std::string(brand), std::string(request_id), ids_.NewFence()});
  Count();
  if (asked_ < options_.at_once && !armed_) Later(Nanos(0));
}

void UndecidedWrites::Later(Nanos wait) {
  armed_ = true;
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    armed_ = false;
    Ask();
  });
}

void UndecidedWrites::Ask() {
  for (; asked_ < options_.at_once && !waiting_.empty(); ++asked_) {
    Write write = std::move(waiting_.front());
    waiting_.pop_front();
    const std::string brand = write.brand, id = write.request_id;
    const int64_t fence = write.fence;
    ids_.Decide(brand, id, fence,
                [this, alive = alive_,
                 write = std::move(write)](const absl::StatusOr<std::optional<uint64_t>>& version) mutable {
                  if (*alive) Decided(std::move(write), version);
                });
  }
}

void UndecidedWrites::Decided(Write write, const absl::StatusOr<std::optional<uint64_t>>& version) {
  --asked_;
  if (!version.ok()) {
    if (failures_ == 0) {
      obs::Log(obs::Level::kWarn, "cacheapi_writes_undecided",
               {{"writes", waiting_.size() + asked_ + 1}, {"reason", version.status().ToString()}});
    }
    waiting_.push_back(std::move(write));  // behind the others: what holds this one up need not hold them
    if (!armed_) Later(async::Doubled(options_.retry, failures_++, options_.longest_retry));
  } else {
    failures_ = 0;
    version->has_value() ? happened_.Increment() : given_up_.Increment();
    if (version->has_value()) applied_(write.brand, **version);
  }
  Count();
  if (!armed_ && !waiting_.empty()) Later(Nanos(0));
}

}  // namespace lab::cacheapi
