#pragma once

#include "bench/model/exploration.h"

// How an exploration stands in result.json (bench/model/archive.h).
namespace lab::bench {

template <typename Archive>
void Fields(Archive& archive, RaceFound& race) {
  archive("race", race.race);
  archive("name", race.name);
  archive("schedules", race.schedules);
  archive("cast", race.cast);
  archive("schedule", race.schedule);
  archive("offence", race.offence);
  archive("diagram", race.diagram);
}

template <typename Archive>
void Fields(Archive& archive, RaceExpected& cell) {
  archive("race", cell.race);
  archive("name", cell.name);
  archive("open", cell.open);
  archive("because", cell.because);
}

template <typename Archive>
void Fields(Archive& archive, CastExplored& cast) {
  archive("cast", cast.cast);
  archive("schedules", cast.schedules);
  archive("infeasible", cast.infeasible);
  archive("deadlocks", cast.deadlocks);
  archive("offending", cast.offending);
  archive("seconds", cast.seconds);
  archive("all", cast.all);
  archive("late", cast.late);
}

template <typename Archive>
void Fields(Archive& archive, Exploration& explored) {
  archive("casts", explored.casts);
  archive("races", explored.races);
  archive("expected", explored.expected);
  archive("replay", explored.replay);
  archive("replayed", explored.replayed);
  archive("problem", explored.problem);
}

}  // namespace lab::bench
