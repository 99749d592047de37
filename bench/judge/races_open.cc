#include <algorithm>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "services/runtime/base/text.h"

// no-open-race{except=4}: no schedule of any cast ends with something wrong, but for those of the race that is left
// out. races-as-expected: the races that schedules ran into are just those that the lab's matrix says are open. Both
// need all schedules: a search that was broken off is a problem of its trial, and so inconclusive.
namespace lab::bench {
namespace {

constexpr char kNothing[] = "nothing was explored";

std::string Counted(const Exploration& explored) {
  uint64_t infeasible = 0;
  for (const CastExplored& cast : explored.casts) infeasible += cast.infeasible;
  std::string text = Concat(FormatQuantity(static_cast<double>(explored.schedules()), ""), " schedules");
  if (infeasible > 0) text += Concat(", ", infeasible, " more are infeasible");
  return text;
}

std::string NameOf(int race, const std::string& name) { return Concat("race ", race, " (", name, ")"); }

// A deadlock is nobody's expectation.
void CheckDeadlocks(const Exploration& explored, InvariantResult& result) {
  for (const CastExplored& cast : explored.casts) {
    if (cast.deadlocks > 0) result.Break(Concat("cast ", cast.cast, ": ", cast.deadlocks, " schedules deadlock"));
  }
}

void Conclude(const Exploration& explored, const std::string& broken, const std::string& held,
              InvariantResult& result) {
  result.state = result.broken > 0 ? State::kFail : State::kPass;
  result.measured = Concat(result.broken > 0 ? broken : held, " in ", Counted(explored));
}

// Where the run and the derivation disagree: then one of the two is wrong, and what is found is no catch.
std::string Contradiction(const Exploration& explored) {
  if (explored.replay) return "";
  for (const RaceExpected& cell : explored.expected) {
    const bool found = std::any_of(explored.races.begin(), explored.races.end(),
                                   [&](const RaceFound& race) { return race.race == cell.race; });
    if (found != cell.open) {
      return Concat(NameOf(cell.race, cell.name), " is ", found ? "open" : "closed",
                    ", against what was derived: ", cell.because);
    }
  }
  return "";
}

InvariantResult CheckNone(const Trial& trial, const Lab&, const Selectors& selectors) {
  InvariantResult result;
  if (!trial.exploration) {
    result.why = kNothing;
    return result;
  }
  const int except = static_cast<int>(selectors.Number("except", -1));
  for (const RaceFound& race : trial.exploration->races) {
    if (race.race == except) continue;
    result.Break(Concat(NameOf(race.race, race.name), ": ", race.schedule, "; ", race.offence, "; ", race.schedules,
                        race.schedules == 1 ? " schedule" : " schedules"));
  }
  CheckDeadlocks(*trial.exploration, result);
  std::string names;
  for (const RaceFound& race : trial.exploration->races) {
    if (race.race != except) names += Concat(names.empty() ? "race " : ", ", race.race);
  }
  Conclude(*trial.exploration, names.empty() ? "a deadlock" : names, "nothing wrong", result);
  result.no_catch = Contradiction(*trial.exploration);
  return result;
}

InvariantResult CheckExpected(const Trial& trial, const Lab&, const Selectors&) {
  InvariantResult result;
  if (!trial.exploration) {
    result.why = kNothing;
  } else if (trial.exploration->replay) {
    result.why = "one schedule says nothing of the others";
  } else if (trial.exploration->expected.empty()) {
    result.why = "the matrix has no row for this variant";
  }
  if (!result.why.empty()) return result;
  const Exploration& explored = *trial.exploration;
  std::string open;
  for (const RaceFound& race : explored.races) {
    const auto cell = std::find_if(explored.expected.begin(), explored.expected.end(),
                                   [&](const RaceExpected& one) { return one.race == race.race; });
    open += Concat(open.empty() ? "" : ", ", race.race);
    if (cell != explored.expected.end() && cell->open) continue;
    result.Break(Concat(NameOf(race.race, race.name), " is open, and was not expected to be",
                        cell == explored.expected.end() ? "" : Concat(" (", cell->because, ")"), ": ", race.schedule));
  }
  for (const RaceExpected& cell : explored.expected) {
    const bool found = std::any_of(explored.races.begin(), explored.races.end(),
                                   [&](const RaceFound& race) { return race.race == cell.race; });
    if (cell.open && !found) {
      result.Break(Concat(NameOf(cell.race, cell.name), " was expected to be open (", cell.because,
                          "), and no schedule runs into it"));
    }
  }
  CheckDeadlocks(explored, result);
  Conclude(explored, open.empty() ? "no race is open" : Concat("open: ", open),
           open.empty() ? "no race is open" : Concat("open: ", open), result);
  return result;
}

}  // namespace

Invariant NoOpenRace() { return {"no-open-race", {{"except", SelectorKind::kCount}}, &CheckNone}; }
Invariant RacesAsExpected() { return {"races-as-expected", {}, &CheckExpected}; }

}  // namespace lab::bench
