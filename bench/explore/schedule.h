#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lab::bench::explore {

// One move of a schedule: an actor takes its next step, or the environment does something.
struct Move {
  // "R1", a reader; "W1", a writer; "N", who makes the brand; "W1@1", one at replica 1; kCache, what happens to the
  // cache; kFeed, what tells of commits; kPush, what a replica is told by Redis ("push@1" where there are several
  // replicas).
  std::string actor;
  // "get", "select", "load", "keep", "set", "write", "commit", "delete", "enqueue", "answer", "publish", "take",
  // "apply", "ack": those of services/cacheapi/gate/step_gate.h; "ask", "die"; of kCache below
  std::string step;
  bool operator==(const Move& other) const { return actor == other.actor && step == other.step; }
  bool operator!=(const Move& other) const { return !(*this == other); }
};
inline constexpr char kCache[] = "C";
inline constexpr char kFeed[] = "feed";
inline constexpr char kPush[] = "push";
inline constexpr char kEvict[] = "evict";    // the entry goes before its time
inline constexpr char kExpire[] = "expire";  // the lease ends before its holder has stored
inline constexpr char kDie[] = "die";        // the actor dies at the step that it is held before
inline constexpr char kAnswer[] = "answer";  // a write is acknowledged that has been committed, or queued, before
inline constexpr char kAsk[] = "ask";  // the request arrives; a move of its own where that has an effect by itself

using Schedule = std::vector<Move>;

// "R1:get W1:write W1:commit".
std::string Format(const Schedule& schedule);
// INVALID_ARGUMENT says which word is wrong, and how one is written. At most kMostMoves.
inline constexpr size_t kMostMoves = 200;
absl::StatusOr<Schedule> ParseSchedule(std::string_view text);

// Who takes part, and what the environment may do to them, each at most once a schedule.
struct Cast {
  struct Actor {
    std::string name;
    bool writes = false;
    bool makes = false;  // the brand, which is not there before; it writes too
    int replica = 0;
  };
  std::vector<Actor> actors;  // at least one, at most kMostActors
  bool evict = false, expire = false;
  bool die = false;            // a writer that has taken a step, before any of its later ones
  std::set<std::string> dies;  // others that may: readers of the cast, kFeed
  std::string text;            // as it was written
  bool mirrored = false;       // of one schedule: no order is left out for being the mirror image of another

  bool MayDie(const std::string& actor, bool writes) const { return (writes && die) || dies.count(actor) > 0; }
};
inline constexpr size_t kMostActors = 4;

// "R W evict die R:die feed:die": words that begin with R, W or N are actors (N makes the brand), "@1" behind one is
// its replica; die is of any one writer, R:die of that reader, feed:die of who tells of commits. One death a schedule,
// whoever's.
absl::StatusOr<Cast> ParseCast(std::string_view text);
// Whoever takes part in this schedule.
absl::StatusOr<Cast> CastOf(const Schedule& schedule);

}  // namespace lab::bench::explore
