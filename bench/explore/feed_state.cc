#include "bench/explore/feed_state.h"

#include "bench/explore/history.h"

namespace lab::bench::explore {

void FeedState::Made(const Move& move, uint64_t committed) {
  const bool own = move.actor == kFeed;
  if (!own) {
    if (kind_ == FeedKind::kOutbox && move.step == "commit") waiting_ = true;
    if (kind_ == FeedKind::kQueue && move.step == "enqueue") waiting_ = true;
    if (kind_ == FeedKind::kLog && move.step == "commit") commits_.push_back(committed);
  } else if (move.step == "take") {
    waiting_ = false;
    taken_ = committed;
  } else if (move.step == kDie && kind_ != FeedKind::kLog) {
    waiting_ = true;  // what it has not ended comes again
  } else if (move.step == "apply") {
    if (kind_ == FeedKind::kOutbox) told_ = taken_;
    if (kind_ == FeedKind::kQueue) told_ = committed;
    if (kind_ == FeedKind::kLog && !commits_.empty()) {
      told_ = commits_.front();
      commits_.pop_front();
    }
  }
}

uint64_t FeedState::told() const { return kind_ == FeedKind::kNone ? kAllTold : told_; }

}  // namespace lab::bench::explore
