#include "bench/explore/search.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

// One level of the path: what could be done there, and what is done this time.
struct Fork {
  std::vector<Move> enabled;
  size_t next = 0;
};

class DepthFirst {
 public:
  explicit DepthFirst(World& world) : world_(world) {}

  // Walks one path to its end. Nothing: a move of it blocked.
  absl::StatusOr<std::optional<History>> Walk(SearchCounts& counts) {
    if (absl::Status begun = world_.Begin(); !begun.ok()) return begun;
    for (size_t depth = 0;; ++depth) {
      std::vector<Move> enabled = world_.Enabled();
      if (depth < path_.size() && enabled != path_[depth].enabled) return NotTheSame(depth, enabled);
      if (enabled.empty()) break;
      if (depth >= kMostMoves) return absl::InternalError(Concat("a schedule does not end: ", Text(depth)));
      if (depth == path_.size()) path_.push_back({std::move(enabled), 0});
      const Fork& fork = path_[depth];
      const absl::StatusOr<World::Taken> taken = world_.Take(fork.enabled[fork.next]);
      if (!taken.ok()) return Annotated(taken.status(), depth + 1);
      ++counts.moves;
      if (*taken == World::Taken::kBlocked) {
        path_.resize(depth + 1);
        ++counts.infeasible;
        const absl::StatusOr<bool> deadlock = world_.Abandon();
        if (!deadlock.ok()) return Annotated(deadlock.status(), depth + 1);
        if (*deadlock) ++counts.deadlocks;
        return std::optional<History>();
      }
    }
    ++counts.schedules;
    absl::StatusOr<History> history = world_.Finish();
    if (!history.ok()) return Annotated(history.status(), path_.size());
    return std::optional<History>(*std::move(history));
  }

  // To the next path; false when there is none.
  bool Next() {
    while (!path_.empty()) {
      Fork& last = path_.back();
      if (++last.next < last.enabled.size()) return true;
      path_.pop_back();
    }
    return false;
  }

 private:
  std::string Text(size_t depth) const {
    Schedule schedule;
    for (size_t i = 0; i < std::min(depth, path_.size()); ++i) schedule.push_back(path_[i].enabled[path_[i].next]);
    return Format(schedule);
  }
  absl::Status Annotated(const absl::Status& status, size_t depth) const {
    return absl::Status(status.code(), Concat("after ", Text(depth), ": ", status.message()));
  }
  absl::Status NotTheSame(size_t depth, const std::vector<Move>& now) const {
    return absl::InternalError(Concat("the system does not do the same twice: after ", Text(depth), " there were ",
                                      Format(path_[depth].enabled), ", and now there are ", Format(now)));
  }

  World& world_;
  std::vector<Fork> path_;
};

}  // namespace

absl::StatusOr<SearchCounts> Search(World& world, const std::function<void(const History&)>& visit,
                                    const std::function<bool()>& go_on) {
  SearchCounts counts;
  DepthFirst search(world);
  do {
    if (!go_on()) return counts;
    const absl::StatusOr<std::optional<History>> history = search.Walk(counts);
    if (!history.ok()) return history.status();
    if (*history) visit(**history);
  } while (search.Next());
  counts.all = true;
  return counts;
}

absl::StatusOr<History> Replay(World& world, const Schedule& schedule) {
  if (absl::Status begun = world.Begin(); !begun.ok()) return begun;
  for (size_t at = 0; at < kMostMoves; ++at) {
    const std::vector<Move> enabled = world.Enabled();
    if (enabled.empty() && at >= schedule.size()) return world.Finish();
    const Move move = at < schedule.size() ? schedule[at] : enabled.front();
    if (std::find(enabled.begin(), enabled.end(), move) == enabled.end()) {
      return absl::FailedPreconditionError(
          Concat("move ", at + 1, ", ", Format({move}), ", cannot be made there; ",
                 enabled.empty() ? "everybody has ended" : Concat("what can: ", Format(enabled))));
    }
    const absl::StatusOr<World::Taken> taken = world.Take(move);
    if (!taken.ok()) return taken.status();
    if (*taken == World::Taken::kBlocked) {
      const absl::StatusOr<bool> deadlock = world.Abandon();
      if (!deadlock.ok()) return deadlock.status();
      return absl::AbortedError(Concat("move ", at + 1, ", ", Format({move}),
                                       ", waits for a row that another writer has locked: this order cannot happen",
                                       *deadlock ? "; and they deadlock" : ""));
    }
  }
  return absl::InternalError("the schedule does not end");
}

}  // namespace lab::bench::explore
