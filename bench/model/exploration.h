#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lab::bench {

// A race that schedules of a variant ran into (bench/explore/race.h), with the shortest of them.
struct RaceFound {
  int race = 0;                      // its number; 0: none of those that have one
  std::string name;                  // "delete before update"
  uint64_t schedules = 0;            // that ran into it
  std::string cast;                  // of the shortest
  std::string schedule;              // "W:delete R:get R:select R:set W:commit"
  std::string offence;               // "at rest L2 serves v1, the database has v2"
  std::vector<std::string> diagram;  // lines
};

// What was derived before anything ran, for this variant and a race (the lab's matrix.yaml).
struct RaceExpected {
  int race = 0;
  std::string name;
  bool open = false;
  std::string because;
};

// All schedules of one cast.
struct CastExplored {
  std::string cast;         // "R W evict"
  uint64_t schedules = 0;   // carried out to their end and judged
  uint64_t infeasible = 0;  // beginnings that block on a row lock: neither passes nor failures
  uint64_t deadlocks = 0;
  uint64_t offending = 0;  // of `schedules`: something was wrong
  double seconds = 0;
  bool all = false;  // every interleaving was tried
  // Of `schedules`: somebody was given the old value while its invalidation was on its way, which passes. Not wrong in
  // a mode that tells by a feed, nor counted as offending.
  uint64_t late = 0;
};

// What the race explorer found in one trial.
struct Exploration {
  std::vector<CastExplored> casts;
  std::vector<RaceFound> races;        // by number
  std::vector<RaceExpected> expected;  // by number; none where the lab's matrix has no row for this variant
  bool replay = false;                 // one schedule that was asked for, instead of all
  std::vector<std::string> replayed;   // its diagram
  std::string problem;                 // why it is not whole; "": it is

  uint64_t schedules() const {
    uint64_t sum = 0;
    for (const CastExplored& cast : casts) sum += cast.schedules;
    return sum;
  }
};

}  // namespace lab::bench
