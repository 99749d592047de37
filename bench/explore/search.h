#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/explore/history.h"

namespace lab::bench::explore {

// What is explored. It behaves the same whenever the same moves are made from the beginning; the search checks that.
class World {
 public:
  virtual ~World() = default;
  // Fresh state, with nobody having moved.
  virtual absl::Status Begin() = 0;
  // The moves that can be made now, in a fixed order; none: it is over. Must be the same after the same moves.
  virtual std::vector<Move> Enabled() = 0;
  enum class Taken : uint8_t {
    kDone,
    kBlocked,  // it waits for a lock that another one holds: this order cannot happen
  };
  virtual absl::StatusOr<Taken> Take(const Move& move) = 0;
  // When it is over: reads what is left.
  virtual absl::StatusOr<History> Finish() = 0;
  // After kBlocked: lets everybody go on to the end, in the order of their names. True when some never come to an end
  // by themselves: a deadlock.
  virtual absl::StatusOr<bool> Abandon() = 0;
};

struct SearchCounts {
  uint64_t schedules = 0;   // carried out to their end
  uint64_t infeasible = 0;  // beginnings that block on a row lock, and so stand for no schedule of their own
  uint64_t deadlocks = 0;   // of those
  uint64_t moves = 0;
  bool all = false;  // every interleaving was tried; false: `go_on` said no
};

// All interleavings, each carried out once: depth-first search over the tree of enabled moves, by replay from the
// beginning (stateless search: Godefroid, "Model Checking for Programming Languages using VeriSoft", POPL 1997). What
// an actor does next is known only once it has done what comes before: a read that hits stops there, one that misses
// goes on. So schedules are not merges of fixed lists; but the moves enabled after a prefix depend on the prefix alone,
// and every maximal path of that tree is walked exactly once, so the enumeration is exhaustive. No partial-order
// reduction: the counts stay those of a table.
//
// A path ends where a move blocks on a lock: the one who blocks takes its step when the lock is freed, which is the
// schedule in which it moves then, and that is walked too. That a deadlock is not overlooked the rest is let go on to
// its end first; that sees all of them with two who lock, the most a cast has.
//
// `visit` gets every history. INTERNAL when the world is not deterministic; the world's errors as they are.
absl::StatusOr<SearchCounts> Search(World& world, const std::function<void(const History&)>& visit,
                                    const std::function<bool()>& go_on);

// Makes these moves and, where the schedule ends before the actors do, the first enabled ones. FAILED_PRECONDITION when
// a move is not enabled when its turn comes: says which are; ABORTED when one blocks.
absl::StatusOr<History> Replay(World& world, const Schedule& schedule);

}  // namespace lab::bench::explore
