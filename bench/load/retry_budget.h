#pragma once

#include <algorithm>
#include <optional>

namespace lab::bench {

// Whether a client may send once more: each first attempt puts `share` of a token into a bucket, each retry takes one
// (Finagle's RetryBudget without its minimum a second). So in the long run retries are at most this share of the
// first attempts, however many of these fail.
class RetryBudget {
 public:
  explicit RetryBudget(std::optional<double> share = std::nullopt) : share_(share) {}  // absent: unbounded
  void FirstAttempt() {
    if (share_) tokens_ = std::min(kMost, tokens_ + *share_);
  }
  // Takes what the retry costs, where there is enough.
  bool MayRetry() {
    if (!share_) return true;
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  static constexpr double kMost = 10;  // what may be saved up: a burst of failures this long is retried
  std::optional<double> share_;
  double tokens_ = kMost;
};

}  // namespace lab::bench
