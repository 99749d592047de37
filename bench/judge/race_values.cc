#include "bench/judge/functions.h"

// What the race explorer counted: schedules, of no phase and no stream.
namespace lab::bench {
namespace {

constexpr char kNone[] = "nothing was explored";

Function CountOf(const char* name, uint64_t CastExplored::*count) {
  return Fixed(name, Unit::Count(), {}, [count](const Trial& trial, const Lab&, const Selectors&) {
    if (!trial.exploration) return Evidence::None(kNone);
    uint64_t sum = 0;
    for (const CastExplored& cast : trial.exploration->casts) sum += cast.*count;
    return Evidence::Of(static_cast<double>(sum), trial.exploration->schedules());
  });
}

}  // namespace

void AddRaceValues(std::vector<Function>& functions) {
  functions.push_back(CountOf("schedules", &CastExplored::schedules));
  functions.push_back(CountOf("infeasible_schedules", &CastExplored::infeasible));
  functions.push_back(CountOf("offending_schedules", &CastExplored::offending));
  functions.push_back(CountOf("late_schedules", &CastExplored::late));
  functions.push_back(Fixed("open_races", Unit::Count(), {}, [](const Trial& trial, const Lab&, const Selectors&) {
    if (!trial.exploration) return Evidence::None(kNone);
    return Evidence::Of(static_cast<double>(trial.exploration->races.size()), trial.exploration->schedules());
  }));
}

}  // namespace lab::bench
