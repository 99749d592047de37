#pragma once

#include <deque>
#include <vector>

#include "bench/load/driver.h"

namespace lab::bench {

// Calls are used again, so that sending allocates nothing once the load has settled. As large as the most that were
// ever in flight at once, which max_in_flight bounds.
class CallPool {
 public:
  Call& Take() {
    if (free_.empty()) return calls_.emplace_back();
    Call* call = free_.back();
    free_.pop_back();
    return *call;
  }
  void Give(Call& call) { free_.push_back(&call); }

 private:
  std::deque<Call> calls_;
  std::vector<Call*> free_;
};

// Calls in flight of one load, by when their clients began to wait; linked through the calls themselves.
class CallQueue {
 public:
  void Append(Call& call) {
    call.earlier = last_;
    call.later = nullptr;
    (last_ != nullptr ? last_->later : first_) = &call;
    last_ = &call;
    ++size_;
  }
  void Remove(Call& call) {
    (call.earlier != nullptr ? call.earlier->later : first_) = call.later;
    (call.later != nullptr ? call.later->earlier : last_) = call.earlier;
    --size_;
  }
  Call* first() const { return first_; }
  size_t size() const { return size_; }

 private:
  Call* first_ = nullptr;
  Call* last_ = nullptr;
  size_t size_ = 0;
};

}  // namespace lab::bench
