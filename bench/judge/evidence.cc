#include "bench/judge/evidence.h"

#include <algorithm>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

std::string FaultProblem(const FaultRecord& fault, const std::vector<FaultSpec>& planned) {
  if (!fault.error.empty()) return Concat(fault.id, ": ", fault.error);
  if (!fault.applied_s) return Concat(fault.id, " was never applied");
  if (!fault.seen_s) return Concat(fault.id, " was never seen to have an effect");
  bool lasts = fault.heal_asked_s.has_value();
  for (const FaultSpec& spec : planned) {
    if (spec.fault == fault.fault && spec.phase == fault.phase && spec.length) lasts = true;
  }
  if (lasts && !fault.heal_asked_s) return Concat(fault.id, " was never asked to end");
  if (lasts && !fault.healed_s) return Concat(fault.id, " was never seen to be healed");
  return "";
}

// Every fault of the lab file must have struck; one that has left no record has not.
std::string MissingFault(const Trial& trial, const std::vector<FaultSpec>& planned) {
  std::map<std::pair<std::string, std::string>, int> missing;
  for (const FaultSpec& spec : planned) ++missing[{spec.fault, spec.phase}];
  for (const FaultRecord& fault : trial.faults) --missing[{fault.fault, fault.phase}];
  for (const auto& [fault, count] : missing) {
    if (count > 0) return Concat(fault.first, " in ", fault.second, " never took place");
  }
  return "";
}

// The steady-state hypothesis: what the lab says of every trial before its faults (`steady:`). Where it does not hold,
// what came after says more about the host than about the design.
std::string WhyUnsteady(const Lab& lab, const std::map<std::string, Evidence>& values) {
  for (const ExpectSpec& rule : lab.steady) {
    const absl::StatusOr<Comparison> comparison = ParseComparison(rule.expression);
    if (!comparison.ok()) continue;
    const Compared compared = Compare(*comparison, [&](const std::string&, const std::string& value) {
      const auto found = values.find(value);
      return found == values.end() ? Evidence::None(Concat("unknown value ", value)) : found->second;
    });
    if (compared.state == State::kPass) continue;
    return Concat("not in its steady state before the fault: ", rule.name, ": ",
                  compared.text.empty() ? compared.why : compared.text, " (a busy host?)");
  }
  return "";
}

TrialEvidence OfTrial(const Trial& trial, const Lab& lab, bool quick,
                      const std::vector<std::pair<std::string, Node>>& values) {
  TrialEvidence evidence{&trial, WhyUnfit(trial, lab, quick), {}};
  if (evidence.unfit.empty()) {
    for (const auto& [name, tree] : values) evidence.values[name] = EvaluateValue(tree, trial, lab);
    evidence.unfit = WhyUnsteady(lab, evidence.values);
  }
  if (!evidence.unfit.empty()) {
    for (const auto& [name, tree] : values) evidence.values[name] = Evidence::None(evidence.unfit);
  }
  return evidence;
}

}  // namespace

std::string WhyUnfit(const Trial& trial, const Lab& lab, bool quick) {
  if (!trial.complete) return trial.problems.empty() ? "was broken off" : Concat("was broken off: ", trial.problems[0]);
  if (!trial.problems.empty()) return trial.problems[0];
  const std::vector<FaultSpec> planned = FaultsOf(lab, quick, trial.seed);
  for (const FaultRecord& fault : trial.faults) {
    const std::string problem = FaultProblem(fault, planned);
    if (!problem.empty()) return problem;
  }
  return MissingFault(trial, planned);
}

std::vector<VariantEvidence> CollectEvidence(const Lab& lab, const Run& run) {
  std::vector<std::pair<std::string, Node>> values;
  for (const ValueSpec& value : lab.values) {
    absl::StatusOr<Node> tree = ParseValue(value.expression);
    if (tree.ok()) values.emplace_back(value.name, *std::move(tree));
  }
  std::vector<VariantEvidence> all;
  for (const VariantSpec& spec : lab.variants) {
    VariantEvidence variant;
    variant.name = spec.name;
    for (const Trial& trial : run.trials) {
      if (trial.variant != spec.name) continue;
      (trial.again ? variant.again : variant.repeats).push_back(OfTrial(trial, lab, run.quick, values));
    }
    if (variant.repeats.empty()) continue;
    for (std::vector<TrialEvidence>* list : {&variant.repeats, &variant.again}) {
      std::sort(list->begin(), list->end(),
                [](const TrialEvidence& a, const TrialEvidence& b) { return a.trial->repeat < b.trial->repeat; });
    }
    for (const auto& [name, tree] : values) {
      std::vector<Evidence> list;
      for (const TrialEvidence& repeat : variant.repeats) list.push_back(repeat.values.at(name));
      Evidence median = MedianOf(std::move(list), variant.repeats.size());
      if (!median.value) {
        // Even without a value its unit is known: what the functions say of themselves.
        median.unit = variant.repeats.front().values.at(name).unit;
      }
      variant.medians[name] = std::move(median);
    }
    all.push_back(std::move(variant));
  }
  return all;
}

Evidence MedianOf(std::vector<Evidence> list, size_t of) {
  std::vector<Evidence> present;
  std::string why;
  for (Evidence& evidence : list) {
    if (evidence.value) {
      present.push_back(std::move(evidence));
    } else {
      why = evidence.why;
    }
  }
  if (present.empty()) return Evidence::None(why.empty() ? "no repeat can be judged" : why);
  std::sort(present.begin(), present.end(), [](const Evidence& a, const Evidence& b) {
    return a.at_least != b.at_least ? b.at_least : *a.value < *b.value;
  });
  Evidence median = present[present.size() / 2];
  const Evidence& lower = present[(present.size() - 1) / 2];
  if (!median.at_least) median.value = (*median.value + *lower.value) / 2;
  median.samples = 0;
  for (const Evidence& evidence : present) median.samples += evidence.samples;
  if (present.size() < of) median.why = Concat("of ", present.size(), " of ", of, " repeats only");
  return median;
}

const VariantEvidence* FindVariant(const std::vector<VariantEvidence>& all, const std::string& name) {
  for (const VariantEvidence& variant : all) {
    if (variant.name == name) return &variant;
  }
  return nullptr;
}

}  // namespace lab::bench
