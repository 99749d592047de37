#include "bench/explore/explorer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "bench/explore/diagram.h"
#include "bench/explore/offence.h"
#include "bench/explore/race.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/time.h"

namespace lab::bench::explore {
namespace {

size_t LengthOf(const std::string& schedule) {
  return static_cast<size_t>(std::count(schedule.begin(), schedule.end(), ':'));
}

// Adds a history to what was found.
void Account(const History& history, bool by_version, CastExplored& cast, Exploration& found) {
  std::set<int> counted;
  bool late = false;
  for (const Offence& offence : Offences(history)) {
    late = late || offence.late;
    if (offence.late) continue;
    const Race race = Classify(history, offence, by_version);
    auto place = std::lower_bound(found.races.begin(), found.races.end(), race.number,
                                  [](const RaceFound& one, int number) { return one.race < number; });
    if (place == found.races.end() || place->race != race.number) {
      place = found.races.insert(place, RaceFound{race.number, race.name, 0, "", "", "", {}});
    }
    if (counted.insert(race.number).second) ++place->schedules;
    const std::string schedule = Format(history.schedule());
    if (!place->schedule.empty() && LengthOf(place->schedule) <= LengthOf(schedule)) continue;
    place->cast = cast.cast;
    place->schedule = schedule;
    place->offence = offence.text;
    place->diagram = Diagram(history);
  }
  ++cast.schedules;
  if (!counted.empty()) ++cast.offending;
  if (late) ++cast.late;
}

}  // namespace

Exploration Explore(const Explored& explored) {
  Exploration found;
  for (const Cast& cast : explored.casts) {
    const Clock::time_point begin = Clock::now();
    CastExplored one;
    one.cast = cast.text;
    const std::unique_ptr<World> world = explored.world(cast);
    const absl::StatusOr<SearchCounts> counts = Search(
        *world, [&](const History& history) { Account(history, explored.by_version, one, found); }, explored.go_on);
    one.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (counts.ok()) {
      one.infeasible = counts->infeasible;
      one.deadlocks = counts->deadlocks;
      one.all = counts->all;
    }
    found.casts.push_back(one);
    explored.tell(one);
    if (!counts.ok()) found.problem = Concat("cast ", cast.text, ": ", counts.status().message());
    if (counts.ok() && !counts->all) found.problem = Concat("cast ", cast.text, " was broken off");
    if (!found.problem.empty()) break;
  }
  return found;
}

absl::StatusOr<Exploration> ReplayOne(const Explored& explored, const Schedule& schedule) {
  const absl::StatusOr<Cast> cast = CastOf(schedule);
  if (!cast.ok()) return cast.status();
  const std::unique_ptr<World> world = explored.world(*cast);
  const absl::StatusOr<History> history = Replay(*world, schedule);
  if (!history.ok()) return history.status();
  Exploration found;
  found.replay = true;
  found.replayed = Diagram(*history);
  CastExplored one;
  one.cast = cast->text;
  Account(*history, explored.by_version, one, found);
  found.casts.push_back(one);
  return found;
}

}  // namespace lab::bench::explore
