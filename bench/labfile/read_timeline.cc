#include <algorithm>
#include <string>
#include <vector>

#include "bench/labfile/parsing.h"
#include "bench/model/trial.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// Phases: what happens when.
namespace lab::bench {
namespace {

constexpr Nanos kShortestPhase = std::chrono::milliseconds(100);
constexpr Nanos kLongestPhase = std::chrono::hours(1);

std::vector<PhaseSpec> ReadPhaseMap(const yaml::Value& map) {
  std::vector<PhaseSpec> phases;
  for (const auto& [name, value] : map.Entries()) {
    CheckName(value, name, false);
    phases.push_back({name, value.Duration(kShortestPhase, kLongestPhase, kShortestPhase)});
  }
  return phases;
}

}  // namespace

const PhaseSpec* FindPhase(const std::vector<PhaseSpec>& phases, std::string_view name) {
  for (const PhaseSpec& phase : phases) {
    if (phase.name == name) return &phase;
  }
  return nullptr;
}

void ReadPhases(const yaml::Value& phases, const yaml::Value& quick, Reading& reading) {
  Lab& lab = reading.lab;
  lab.phases = ReadPhaseMap(phases);
  if (phases.defined() && lab.phases.empty()) phases.Error("names no phase");
  lab.quick_phases = quick.defined() ? ReadPhaseMap(quick) : lab.phases;
  for (const auto& [name, value] : quick.Entries()) {
    if (FindPhase(lab.phases, name) == nullptr) {
      value.Error(Concat("is no phase of the full run", Suggestion(name, PhaseNames(lab))));
    }
  }
  for (const PhaseSpec& phase : lab.phases) {
    if (FindPhase(lab.quick_phases, phase.name) == nullptr) {
      quick.Error(Concat("phase \"", phase.name, "\" is missing; quick has the same phases, only shorter"));
    }
  }
  const auto same_name = [](const PhaseSpec& full, const PhaseSpec& fast) { return full.name == fast.name; };
  const bool same_order =
      std::equal(lab.phases.begin(), lab.phases.end(), lab.quick_phases.begin(), lab.quick_phases.end(), same_name);
  if (!same_order && std::is_permutation(lab.phases.begin(), lab.phases.end(), lab.quick_phases.begin(),
                                         lab.quick_phases.end(), same_name)) {
    quick.Error("has the phases in another order");
  }
}

std::vector<PhaseSpec> PhasesOf(const Lab& lab, bool quick) { return quick ? lab.quick_phases : lab.phases; }

std::vector<Phase> TimelineOf(const Lab& lab, bool quick) {
  std::vector<Phase> timeline;
  double at_s = 0;
  for (const PhaseSpec& phase : PhasesOf(lab, quick)) {
    const double end_s = at_s + std::chrono::duration<double>(phase.length).count();
    timeline.push_back({phase.name, at_s, end_s});
    at_s = end_s;
  }
  return timeline;
}

}  // namespace lab::bench
