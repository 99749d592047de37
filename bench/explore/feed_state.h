#pragma once

#include <cstdint>
#include <deque>

#include "bench/explore/schedule.h"

namespace lab::bench::explore {

// Who tells L2 of what was committed, where that is not the writer.
enum class FeedKind : uint8_t {
  kNone,
  kOutbox,  // takes the rows that there are, tells L2, commits: feed:take feed:apply feed:commit
  kLog,     // is told by PostgreSQL of each commit, in their order: feed:apply
  kQueue,   // write-behind: takes what is queued, commits it, tells L2, ends it: feed:take feed:commit feed:apply
            // feed:ack
};

// What such a feed has before it and how far it has told L2, as it follows from the moves alone. No I/O.
class FeedState {
 public:
  explicit FeedState(FeedKind kind) : kind_(kind) {}
  void Begin() { *this = FeedState(kind_); }

  // A move was made; `committed`: the version in the database behind it.
  void Made(const Move& move, uint64_t committed);

  // Whether it would find something: otherwise to take has no effect, and is no move.
  bool MayTake() const { return waiting_; }
  // Of kLog: how many commits it has to tell of. They come by themselves, and are held before they are applied.
  size_t coming() const { return commits_.size(); }
  // The version up to which L2 has been told; kAllTold without a feed.
  uint64_t told() const;

 private:
  FeedKind kind_;
  bool waiting_ = false;
  uint64_t taken_ = 1, told_ = 1;
  std::deque<uint64_t> commits_;  // of kLog, untold
};

}  // namespace lab::bench::explore
