#include "services/cacheapi/write/untold_brands.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "services/runtime/async/doubled.h"
#include "services/runtime/obs/log.h"

namespace lab::cacheapi {

UntoldBrands::UntoldBrands(Parts parts, const Options& options, obs::Metrics& metrics)
    : parts_(std::move(parts)),
      options_(options),
      untold_(metrics.AddGauge("cacheapi_untold_brands", "Brands whose change L2 is still to be told of")),
      timer_(parts_.loop.io()),
      alive_(std::make_shared<bool>(true)) {}

UntoldBrands::~UntoldBrands() { *alive_ = false; }

void UntoldBrands::Add(std::string_view brand, uint64_t version) {
  if (all_) return;  // L2 is emptied of it too, which has not begun
  const auto found = brands_.find(brand);
  if (found != brands_.end()) {
    found->second = {std::max(found->second.version, version), ++added_};
  } else if (brands_.size() < options_.most) {
    brands_.emplace(std::string(brand), Change{version, ++added_});
  } else {
    obs::Log(obs::Level::kWarn, "cacheapi_untold_brands_given_up", {{"brands", brands_.size()}});
    nameless_ += brands_.size() + 1;
    brands_.clear();
    all_ = true;
    parts_.given_up();
  }
  Count();
  if (under_way_ == 0 && !armed_) Later(options_.retry);
}

void UntoldBrands::Later(Nanos wait) {
  armed_ = true;
  timer_.expires_after(wait);
  timer_.async_wait([this, alive = alive_](const boost::system::error_code& error) {
    if (!*alive || error) return;
    armed_ = false;
    failed_ = false;
    all_ ? TellAll() : Tell();
  });
}

void UntoldBrands::TellAll() {
  all_ = false;
  under_way_ = 1;
  parts_.tell_all([this, alive = alive_](const absl::Status& status) {
    if (!*alive) return;
    all_ = all_ || !status.ok();
    failed_ = !status.ok();
    if (!all_) nameless_ = 0;
    under_way_ = 0;
    EndRound();
  });
}

void UntoldBrands::Tell() {
  std::vector<std::pair<std::string, Change>> round;
  for (auto next = brands_.upper_bound(last_); next != brands_.end() && round.size() < options_.at_once; ++next) {
    round.push_back(*next);
  }
  for (auto next = brands_.begin(); next != brands_.end() && next->first <= last_ && round.size() < options_.at_once;
       ++next) {
    round.push_back(*next);
  }
  if (round.empty()) return;
  last_ = round.back().first;
  under_way_ = round.size();
  for (const auto& [brand, change] : round) {
    parts_.tell(brand, change.version,
                [this, alive = alive_, brand = brand, added = change.added](const absl::Status& status) {
                  if (*alive) Told(brand, added, status);
                });
  }
}

void UntoldBrands::Told(const std::string& brand, uint64_t added, const absl::Status& status) {
  failed_ = failed_ || !status.ok();
  const auto found = brands_.find(brand);
  if (status.ok() && found != brands_.end() && found->second.added == added) brands_.erase(found);
  if (--under_way_ == 0) EndRound();
}

void UntoldBrands::EndRound() {
  Count();
  failures_ = failed_ ? failures_ + 1 : 0;
  if (brands_.empty() && !all_) return;
  Later(failed_ ? async::Doubled(options_.retry, failures_, options_.longest_retry) : Nanos(0));
}

}  // namespace lab::cacheapi
