#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bench/labfile/fault_reading.h"
#include "bench/labfile/parsing.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// faults: of which one after the other is drawn.
namespace lab::bench {
namespace {

constexpr Nanos kToBeWell = std::chrono::seconds(1);  // after each fault, before the next

struct Range {
  Nanos least{}, most{};
};

// "1s..3s", or "2s".
std::optional<Range> ReadRange(const yaml::Value& value, const std::string& example) {
  const std::string text = value.String();
  if (!value.defined()) return std::nullopt;
  const size_t dots = text.find("..");
  const absl::StatusOr<Nanos> least = ParseDuration(text.substr(0, dots));
  const absl::StatusOr<Nanos> most = dots == std::string::npos ? least : ParseDuration(text.substr(dots + 2));
  if (!least.ok() || !most.ok() || *least <= Nanos(0)) {
    value.Error(Concat("write a time, or from which to which it is drawn, as ", example));
    return std::nullopt;
  }
  if (*most < *least) {
    value.Error(Concat("ends before it begins: ", FormatDuration(*least), " to ", FormatDuration(*most)));
    return std::nullopt;
  }
  return Range{*least, *most};
}

// Whether at least one is drawn, and not too many.
void CheckFits(const yaml::Value& entry, const Lab& lab, const FaultSpec& fault, bool quick) {
  const std::vector<PhaseSpec> phases = PhasesOf(lab, quick);
  const PhaseSpec* phase = FindPhase(phases, fault.phase);
  if (phase == nullptr) return;
  const RandomSpec& random = *fault.random;
  const std::string which =
      Concat(quick ? "quick phase " : "phase ", fault.phase, " (", FormatDuration(phase->length), ")");
  const Nanos begin = fault.offset + ShareOfPhase(phase->length, fault.offset_share);
  const Nanos needed = begin + random.every_most + random.length_most;
  if (needed > phase->length) {
    entry.Error(Concat("the first one may end ", FormatDuration(needed), " after the begin of the ", which,
                       ", which is over by then; shorten every: or for:"));
  }
  if (phase->length / random.every_least > static_cast<int64_t>(kMostOccurrences)) {
    entry.Error(Concat("may come more than ", kMostOccurrences, " times in the ", which));
  }
}

// When, how often and for how long; none when something is wrong with that, which has been said.
std::optional<RandomSpec> ReadTimes(const yaml::Value& entry) {
  const yaml::Value every_place = entry.Required("every");
  const std::optional<Range> every = ReadRange(every_place, "every: 20s..60s");
  const std::optional<Range> length = ReadRange(entry.Required("for"), "for: 1s..3s");
  if (!every || !length) return std::nullopt;
  if (every->least < length->most + kToBeWell) {
    every_place.Error(Concat("one must be over, and what it broke be well, before the next begins: at least ",
                             FormatDuration(length->most + kToBeWell), " apart"));
    return std::nullopt;
  }
  RandomSpec random;
  random.every_least = every->least;
  random.every_most = every->most;
  random.length_least = length->least;
  random.length_most = length->most;
  return random;
}

// One of those that are drawn from; false when it is none.
bool ReadChoice(const yaml::Value& entry, const yaml::Value& name, const Reading& reading, FaultSpec& fault) {
  fault.fault = name.String();
  if (reading.catalogue.faults.count(CatalogueName(fault.fault)) == 0) {
    name.Error(Concat("unknown fault \"", fault.fault, "\"", Suggestion(fault.fault, FaultNames(reading))));
    return false;
  }
  ReadTarget(entry, name, reading.lab, fault);
  fault.random->replicas = ReplicasOf(reading.lab, fault);
  if (reading.catalogue.check_fault == nullptr) return true;
  const std::string wrong = reading.catalogue.check_fault(reading.lab, fault);
  if (!wrong.empty()) name.Error(wrong);
  return wrong.empty();
}

// Numbered among their kind, so that nothing else in the file changes what is drawn.
int NextEntry(const Lab& lab) {
  int next = 0;
  for (const FaultSpec& fault : lab.faults) {
    if (fault.random) next = std::max(next, fault.random->entry + 1);
  }
  return next;
}

}  // namespace

void ReadRandomFaults(const yaml::Value& entry, Reading& reading) {
  FaultSpec fault;
  fault.line = entry.line();
  ReadAt(entry.Required("at"), reading.lab, fault);
  bool clear = FindPhase(reading.lab.phases, fault.phase) != nullptr;
  const yaml::Value one = entry.Optional("do");
  if (one.defined()) one.Error("is for one fault; random: names those that are drawn from");
  for (const char* key : {"on", "replica"}) {
    const yaml::Value given = entry.Optional(key);
    if (given.defined())
      given.Error("is not to be said: the part is the one that the fault's name begins with, its replica drawn");
  }
  fault.random = ReadTimes(entry);
  const bool timed = fault.random.has_value();
  if (!timed) fault.random.emplace();
  fault.random->entry = NextEntry(reading.lab);
  const yaml::Value names = entry.Required("random");
  std::vector<FaultSpec> choices;
  for (const yaml::Value& name : names.List()) {
    FaultSpec choice = fault;
    const bool known = ReadChoice(entry, name, reading, choice);
    clear = clear && known;
    if (known) choices.push_back(std::move(choice));
  }
  RefuseEmpty(names, names.List().empty(), "names no fault; write random: [redis.kill, postgres.kill]");
  entry.Finish();
  reading.faults_unclear = reading.faults_unclear || !clear;
  if (!timed) return;
  CheckFits(entry, reading.lab, fault, false);
  if (reading.lab.quick_phases.size() == reading.lab.phases.size()) CheckFits(entry, reading.lab, fault, true);
  for (FaultSpec& choice : choices) reading.lab.faults.push_back(std::move(choice));
}

}  // namespace lab::bench
