#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "bench/model/op.h"

namespace lab::bench {

// The operations of one load. Of a planned one all are kept, in the order of their sending; an endless one keeps those
// in flight only, and uses the places of ended ones again: it is as large as the most that were ever in flight.
class OpLog {
 public:
  void Reserve(size_t operations) { ops_.reserve(operations); }
  void KeepOnlyInFlight() { keep_all_ = false; }

  // The place of a new operation; references to others may move.
  size_t Begin() {
    if (free_.empty()) {
      ops_.emplace_back();
      return ops_.size() - 1;
    }
    const size_t place = free_.back();
    free_.pop_back();
    ops_[place] = Op{};
    return place;
  }
  // It has ended and is not looked at any more.
  void End(size_t place) {
    if (!keep_all_) free_.push_back(place);
  }

  Op& operator[](size_t place) { return ops_[place]; }
  const Op& operator[](size_t place) const { return ops_[place]; }
  size_t size() const { return ops_.size(); }
  // All of them; nothing of an endless load.
  std::vector<Op> Take() {
    free_.clear();
    std::vector<Op> all = std::exchange(ops_, {});
    if (!keep_all_) all.clear();
    return all;
  }

 private:
  bool keep_all_ = true;
  std::vector<Op> ops_;
  std::vector<size_t> free_;
};

}  // namespace lab::bench
