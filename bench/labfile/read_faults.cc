#include <algorithm>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "bench/labfile/fault_reading.h"
#include "bench/labfile/parsing.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

// faults: what is broken when. When each of them happens in a run: fault_plan.cc.
namespace lab::bench {
namespace {

// "25%" at the front of a length or offset.
std::optional<double> Percent(const std::string& text) {
  if (text.empty() || text.back() != '%') return std::nullopt;
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  if (!quantity.ok()) return std::nullopt;
  return quantity->value;
}

// Of all variants: a fault is the same in each.
int LeastReplicas(const Lab& lab, const PartSpec& part) {
  if (lab.variants.empty()) return part.replicas;
  int least = std::numeric_limits<int>::max();
  for (const VariantSpec& variant : lab.variants) {
    int replicas = part.replicas;
    if (const auto set = variant.set.find(part.name); set != variant.set.end()) {
      const auto own = set->second.find("replicas");
      if (own != set->second.end() && !absl::SimpleAtoi(own->second, &replicas)) continue;  // said already
    }
    least = std::min(least, replicas);
  }
  return least;
}

// Of a link: one replica of it stands before each of the part that it leads to.
void ReadLinkTarget(const yaml::Value& entry, const yaml::Value& name, const Lab& lab, FaultSpec& fault) {
  const yaml::Value replica = entry.Optional("replica");
  const LinkSpec* link = FindLink(lab, fault.part);
  if (link != nullptr) {
    fault.replica = static_cast<int>(replica.Int(0, LeastReplicas(lab, *FindPart(lab, link->to)) - 1, 0));
    return;
  }
  const auto links = NamesOf(lab.links, [](const LinkSpec& each) { return each.name(); });
  name.Error(links.empty() ? Concat("\"", fault.part, "\" is no link of this lab: write links: [", fault.part, "]")
                           : Concat("\"", fault.part, "\" is no link of this lab", Suggestion(fault.part, links)));
}

}  // namespace

void ReadAt(const yaml::Value& at, const Lab& lab, FaultSpec& fault) {
  const std::string text = at.String();
  const size_t plus = text.find('+');
  fault.phase = text.substr(0, plus);
  if (FindPhase(lab.phases, fault.phase) == nullptr) {
    at.Error(Concat("unknown phase \"", fault.phase, "\"", Suggestion(fault.phase, PhaseNames(lab))));
    return;
  }
  if (plus == std::string::npos) return;
  const std::string offset = text.substr(plus + 1);
  if (const std::optional<double> share = Percent(offset)) {
    fault.offset_share = *share;
    if (*share >= 1) at.Error("the fault would begin after its phase");
    return;
  }
  const absl::StatusOr<Nanos> duration = ParseDuration(offset);
  if (duration.ok()) {
    fault.offset = *duration;
  } else {
    at.Error(Concat(std::string(duration.status().message()), " (as in ", fault.phase, "+0.5s)"));
  }
}

std::string CatalogueName(const std::string& fault) {
  const size_t dot = fault.find('.');
  const bool of_link = fault.substr(0, dot).find("->") != std::string::npos;
  return of_link && dot != std::string::npos ? "link" + fault.substr(dot) : fault;
}

std::vector<std::string> FaultNames(const Reading& reading) {
  std::vector<std::string> names;
  for (const auto& [name, options] : reading.catalogue.faults) {
    if (name.rfind("link.", 0) != 0) {
      names.push_back(name);
      continue;
    }
    for (const LinkSpec& link : reading.lab.links) names.push_back(link.name() + name.substr(4));
  }
  return names;
}

void ReadTarget(const yaml::Value& entry, const yaml::Value& name, const Lab& lab, FaultSpec& fault) {
  const yaml::Value on = entry.Optional("on");
  const std::string prefix = fault.fault.substr(0, fault.fault.find('.'));
  fault.part = on.String(prefix);
  if (prefix.find("->") != std::string::npos) {
    if (on.defined()) on.Error("a fault of a link says in its name on which it acts");
    fault.part = prefix;
    ReadLinkTarget(entry, name, lab, fault);
    return;
  }
  const PartSpec* part = FindPart(lab, fault.part);
  if (part != nullptr) {
    fault.replica = static_cast<int>(entry.Optional("replica").Int(0, LeastReplicas(lab, *part) - 1, 0));
    return;
  }
  entry.Optional("replica");
  if (on.defined()) {
    on.Error(Concat("unknown part \"", fault.part, "\"", Suggestion(fault.part, PartNames(lab))));
  } else {
    name.Error(Concat("\"", fault.part,
                      "\" is no part of this system: say which with on:", Suggestion(fault.part, PartNames(lab))));
  }
}

int ReplicasOf(const Lab& lab, const FaultSpec& fault) {
  const LinkSpec* link = FindLink(lab, fault.part);
  const PartSpec* part = FindPart(lab, link == nullptr ? fault.part : link->to);
  return part == nullptr ? 1 : LeastReplicas(lab, *part);
}

namespace {

void ReadLength(const yaml::Value& length, FaultSpec& fault) {
  if (!length.defined()) return;
  const std::string text = length.String();
  if (const std::optional<double> share = Percent(text)) {
    fault.length_share = *share;
    if (*share <= 0 || *share > 1) length.Error("a share of the phase lies between 1% and 100%");
    return;
  }
  const absl::StatusOr<Nanos> duration = ParseDuration(text);
  if (!duration.ok()) {
    length.Error(Concat(std::string(duration.status().message()), ", or a share of the phase, as 100%"));
  } else if (*duration <= Nanos(0)) {
    length.Error("must be longer than 0");
  } else {
    fault.length = *duration;
  }
}

void ReadRepeat(const yaml::Value& repeat, FaultSpec& fault) {
  if (!repeat.defined()) return;
  std::string text = repeat.String();
  if (text.rfind("every ", 0) == 0) text = text.substr(6);
  const absl::StatusOr<Nanos> every = ParseDuration(text);
  if (!every.ok() || *every < std::chrono::milliseconds(10)) {
    repeat.Error("write how often, as \"every 2s\"");
    return;
  }
  fault.every = *every;
}

// Whether every occurrence fits into its phase (its end: into the run), in the full and in the quick timeline.
void CheckFits(const yaml::Value& entry, const Lab& lab, const FaultSpec& fault, bool quick) {
  const std::vector<PhaseSpec> phases = PhasesOf(lab, quick);
  const PhaseSpec* phase = FindPhase(phases, fault.phase);
  if (phase == nullptr) return;
  const std::string which = quick ? "quick phase " : "phase ";
  const Nanos offset = fault.offset + ShareOfPhase(phase->length, fault.offset_share);
  if (offset >= phase->length) {
    entry.Error(Concat("at ", fault.phase, "+", FormatDuration(offset), " is after the end of the ", which, fault.phase,
                       " (", FormatDuration(phase->length), ")"));
    return;
  }
  if (fault.every > Nanos(0) && phase->length / fault.every > static_cast<int64_t>(kMostOccurrences)) {
    entry.Error("repeats more than 1000 times in its phase");
  }
  if (!fault.length || fault.length_share > 0) return;
  if (offset + *fault.length > phase->length) {
    entry.Error(Concat("lasts ", FormatDuration(*fault.length), ", beyond the end of the ", which, fault.phase, " (",
                       FormatDuration(phase->length), "); write a share of the phase, as \"for: 100%\""));
  }
}

void ReadFault(const yaml::Value& entry, Reading& reading) {
  FaultSpec fault;
  fault.line = entry.line();
  ReadAt(entry.Required("at"), reading.lab, fault);
  if (FindPhase(reading.lab.phases, fault.phase) == nullptr) reading.faults_unclear = true;
  const yaml::Value name = entry.Required("do");
  fault.fault = name.String();
  const auto known = reading.catalogue.faults.find(CatalogueName(fault.fault));
  if (name.defined() && known == reading.catalogue.faults.end()) {
    name.Error(Concat("unknown fault \"", fault.fault, "\"", Suggestion(fault.fault, FaultNames(reading))));
  }
  ReadLength(entry.Optional("for"), fault);
  ReadRepeat(entry.Optional("repeat"), fault);
  ReadTarget(entry, name, reading.lab, fault);
  if (known == reading.catalogue.faults.end()) {  // then its options are not known either
    reading.faults_unclear = true;
    return;
  }
  for (const std::string& option : known->second) {
    const yaml::Value value = entry.Optional(option);
    if (!value.defined()) continue;
    fault.options[option] = value.String();
    if (reading.catalogue.check_fault_option == nullptr) continue;
    const std::string wrong = reading.catalogue.check_fault_option(known->first, option, fault.options[option]);
    if (!wrong.empty()) value.Error(wrong);
  }
  entry.Finish();
  if (reading.catalogue.check_fault != nullptr) {
    const std::string wrong = reading.catalogue.check_fault(reading.lab, fault);
    if (!wrong.empty()) entry.Error(wrong);
  }
  CheckFits(entry, reading.lab, fault, false);
  if (reading.lab.quick_phases.size() == reading.lab.phases.size()) CheckFits(entry, reading.lab, fault, true);
  if (fault.length_share > 0) {
    const PhaseSpec* phase = FindPhase(reading.lab.phases, fault.phase);
    if (phase != nullptr) fault.length = ShareOfPhase(phase->length, fault.length_share);
  }
  reading.lab.faults.push_back(std::move(fault));
}

}  // namespace

void ReadFaults(const yaml::Value& faults, Reading& reading) {
  for (const yaml::Value& entry : faults.List()) {
    entry.Optional("random").defined() ? ReadRandomFaults(entry, reading) : ReadFault(entry, reading);
  }
}

}  // namespace lab::bench
