#include "bench/explore/schedule.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr size_t kMostWord = 32;
constexpr int kMostReplica = 15;

bool IsWord(std::string_view text, bool actor) {
  if (text.empty() || text.size() > kMostWord) return false;
  return std::all_of(text.begin(), text.end(), [&](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return absl::ascii_islower(byte) || (actor && (absl::ascii_isupper(byte) || absl::ascii_isdigit(byte) || c == '@'));
  });
}

std::vector<std::string> Words(std::string_view text) {
  return absl::StrSplit(View(text), absl::ByAnyChar(" \t\n,"), absl::SkipEmpty());
}

// "W1@2" → a writer at replica 2.
absl::StatusOr<Cast::Actor> ActorOf(const std::string& name) {
  Cast::Actor actor;
  actor.name = name;
  actor.makes = !name.empty() && name[0] == 'N';
  actor.writes = actor.makes || (!name.empty() && name[0] == 'W');
  const size_t at = name.find('@');
  constexpr size_t kLongest = 12;
  const bool known = !name.empty() && name.size() <= kLongest && (name[0] == 'R' || actor.writes) && IsWord(name, true);
  const bool placed = at == std::string::npos || (absl::SimpleAtoi(name.substr(at + 1), &actor.replica) &&
                                                  actor.replica >= 0 && actor.replica <= kMostReplica);
  if (known && placed) return actor;
  return absl::InvalidArgumentError(
      Concat("\"", name.substr(0, 60),
             "\" is no actor: a reader is R, R1, R2, a writer W, W1, W2, who makes the brand N, at a replica W1@1"));
}

absl::Status Add(const std::string& name, Cast& cast) {
  const absl::StatusOr<Cast::Actor> actor = ActorOf(name);
  if (!actor.ok()) return actor.status();
  cast.actors.push_back(*actor);
  if (cast.actors.size() <= kMostActors) return absl::OkStatus();
  return absl::InvalidArgumentError(Concat("more than ", kMostActors, " actors: their schedules are too many"));
}

// "R1:die": who it is of is seen when all are known.
bool IsDeath(const std::string& word) {
  const size_t colon = word.find(':');
  return colon != std::string::npos && word.substr(colon + 1) == kDie;
}

absl::Status CheckDeaths(const Cast& cast) {
  for (const std::string& name : cast.dies) {
    const auto named = [&](const Cast::Actor& actor) { return actor.name == name; };
    if (name == kFeed || std::any_of(cast.actors.begin(), cast.actors.end(), named)) continue;
    return absl::InvalidArgumentError(Concat("\"", name, ":die\": nobody of that name takes part"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Format(const Schedule& schedule) {
  std::string text;
  for (const Move& move : schedule) text += Concat(text.empty() ? "" : " ", move.actor, ":", move.step);
  return text;
}

absl::StatusOr<Schedule> ParseSchedule(std::string_view text) {
  Schedule schedule;
  for (const std::string& word : Words(text)) {
    const size_t colon = word.find(':');
    Move move{word.substr(0, colon), colon == std::string::npos ? "" : word.substr(colon + 1)};
    if (!IsWord(move.actor, true) || !IsWord(move.step, false)) {
      return absl::InvalidArgumentError(Concat("\"", word.substr(0, kMostWord),
                                               "\" is no move; one is written actor:step, like R1:get or W1:commit"));
    }
    schedule.push_back(std::move(move));
    if (schedule.size() > kMostMoves) {
      return absl::InvalidArgumentError(Concat("a schedule of more than ", kMostMoves, " moves"));
    }
  }
  if (schedule.empty()) return absl::InvalidArgumentError("an empty schedule; write one like \"R:get W:commit\"");
  return schedule;
}

absl::StatusOr<Cast> ParseCast(std::string_view text) {
  Cast cast;
  cast.text = std::string(text);
  std::set<std::string> seen;
  for (const std::string& word : Words(text)) {
    if (!seen.insert(word).second) return absl::InvalidArgumentError(Concat("\"", word, "\" is named twice"));
    if (word == kEvict) {
      cast.evict = true;
    } else if (word == kExpire) {
      cast.expire = true;
    } else if (word == kDie) {
      cast.die = true;
    } else if (IsDeath(word)) {
      cast.dies.insert(word.substr(0, word.find(':')));
    } else if (absl::Status added = Add(word, cast); !added.ok()) {
      return added;
    }
  }
  if (cast.actors.empty()) return absl::InvalidArgumentError("nobody takes part; write a cast like \"R W evict die\"");
  if (absl::Status wrong = CheckDeaths(cast); !wrong.ok()) return wrong;
  return cast;
}

absl::StatusOr<Cast> CastOf(const Schedule& schedule) {
  Cast cast;
  cast.mirrored = true;
  std::set<std::string> seen;
  for (const Move& move : schedule) {
    // Where nobody may die behind a commit, the answer is no move of its own (service_world.h).
    if (move.step == kDie || move.step == kAnswer) cast.dies.insert(move.actor);
    if (move.actor == kCache) {
      if (move.step != kEvict && move.step != kExpire) {
        return absl::InvalidArgumentError(Concat("C:", move.step, ": of the cache there are C:evict and C:expire"));
      }
      (move.step == kEvict ? cast.evict : cast.expire) = true;
    } else if (absl::ascii_isupper(static_cast<unsigned char>(move.actor[0])) && seen.insert(move.actor).second) {
      if (absl::Status added = Add(move.actor, cast); !added.ok()) return added;
      cast.text += Concat(cast.text.empty() ? "" : " ", move.actor);
    }
  }
  if (cast.actors.empty()) return absl::InvalidArgumentError("nobody takes part in this schedule");
  if (absl::Status wrong = CheckDeaths(cast); !wrong.ok()) return wrong;
  return cast;
}

}  // namespace lab::bench::explore
