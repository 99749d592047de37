#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lab::bench::explore {

// One move of a schedule: an actor takes its next step, or the environment does something.
struct Move {
  std::string actor;  // "R1", a reader; "W1", a writer; "W1@1", one at replica 1; kCache, what happens to the cache
  std::string
      step;  // "get", "select", "load", "set", "write", "commit", "delete", "apply", "ask"; "die"; of kCache below
  bool operator==(const Move& other) const { return actor == other.actor && step == other.step; }
  bool operator!=(const Move& other) const { return !(*this == other); }
};
inline constexpr char kCache[] = "C";
inline constexpr char kEvict[] = "evict";    // the entry goes before its time
inline constexpr char kExpire[] = "expire";  // the lease ends before its holder has stored
inline constexpr char kDie[] = "die";        // the actor dies at the step that it is held before
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
    int replica = 0;
  };
  std::vector<Actor> actors;  // at least one, at most kMostActors
  bool evict = false, expire = false;
  bool die = false;  // a writer that has taken a step, before any of its later ones
  std::string text;  // as it was written
};
inline constexpr size_t kMostActors = 4;

// "R W evict die": words that begin with R or W are actors, "@1" behind one is its replica.
absl::StatusOr<Cast> ParseCast(std::string_view text);
// Whoever takes part in this schedule.
absl::StatusOr<Cast> CastOf(const Schedule& schedule);

}  // namespace lab::bench::explore
