#include "bench/judge/findings.h"

#include <algorithm>
#include <limits>
#include <set>

#include "bench/judge/difference.h"
#include "bench/judge/invariants.h"
#include "bench/judge/together.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

Judged NotAsked(const ExpectSpec& rule, const std::string& variant, std::string why) {
  Judged judged;
  judged.finding.rule = rule.name;
  judged.finding.text = rule.expression;
  judged.finding.variant = variant;
  judged.finding.state = State::kNotAsked;
  judged.finding.why = std::move(why);
  return judged;
}

// What must hold of a design must hold of every trial of it, also of those that only show the noise.
std::vector<const TrialEvidence*> AllTrials(const VariantEvidence& variant) {
  std::vector<const TrialEvidence*> trials;
  for (const TrialEvidence& repeat : variant.repeats) trials.push_back(&repeat);
  for (const TrialEvidence& again : variant.again) trials.push_back(&again);
  return trials;
}

// "repeat 2: ", where there is more than one.
std::string RepeatLabel(const VariantEvidence& variant, const TrialEvidence& repeat) {
  if (AllTrials(variant).size() < 2) return "";
  return Concat("repeat ", repeat.trial->repeat, repeat.trial->again ? " again: " : ": ");
}

Evidence ValueOf(const TrialEvidence& repeat, const std::string& value) {
  const auto found = repeat.values.find(value);
  return found == repeat.values.end() ? Evidence::None(Concat("unknown value ", value)) : found->second;
}

// Why a miss may be the host's doing; "" when it is not, or is none. What a host takes away makes a design look worse,
// not better, and not by much more than it took.
std::string WhyDoubtful(const Trial& trial, const Compared& compared) {
  constexpr double kClearFactor = 10;
  if (trial.cautions.empty() || compared.state != State::kFail || compared.factor >= kClearFactor) return "";
  return Concat(compared.text, ", but ", trial.cautions.front(), ": only a miss by a factor of ten would count");
}

// A bound on one variant must hold in every repeat; the worst one is shown. One clear miss is a miss, whatever the
// other repeats lack.
Judged JudgeAlone(const ExpectSpec& rule, const Comparison& comparison, const VariantEvidence& variant) {
  Judged judged = NotAsked(rule, variant.name, "");
  Finding& finding = judged.finding;
  finding.state = State::kPass;
  judged.factor = std::numeric_limits<double>::infinity();
  double worst = -std::numeric_limits<double>::infinity();
  std::string missing;
  for (const TrialEvidence* repeat : AllTrials(variant)) {
    const Compared compared =
        Compare(comparison, [&](const std::string&, const std::string& value) { return ValueOf(*repeat, value); });
    const std::string doubt = WhyDoubtful(*repeat->trial, compared);
    if (compared.state == State::kInconclusive || !doubt.empty()) {
      if (missing.empty()) missing = Concat(RepeatLabel(variant, *repeat), doubt.empty() ? compared.why : doubt);
      if (!finding.left) finding.left = compared.left;
      continue;
    }
    judged.factor = std::min(judged.factor, compared.factor);
    if (compared.excess <= worst) continue;
    worst = compared.excess;
    finding.state = compared.state;
    finding.measured = compared.text;
    finding.left = compared.left;
    finding.right = compared.right;
  }
  if (!missing.empty()) {
    if (finding.state != State::kFail) finding.state = State::kInconclusive;
    finding.why = missing;
    judged.factor = 0;
  }
  return judged;
}

Comparison ForVariant(Comparison comparison, const std::string& variant) {
  const std::function<void(Node&)> replace = [&](Node& node) {
    if (node.kind == Node::Kind::kReference && node.variant == "each") node.variant = variant;
    for (Node& child : node.children) replace(child);
  };
  replace(comparison.left);
  replace(comparison.right);
  if (comparison.high) replace(*comparison.high);
  return comparison;
}

Judged JudgeFor(const ExpectSpec& rule, const Comparison& comparison, const std::string& each, const Lab& lab,
                const Run& run, const std::vector<VariantEvidence>& all, const std::vector<Noise>& noise) {
  std::vector<const VariantEvidence*> variants;
  for (const std::string& name : VariantsOf(comparison)) {
    const VariantEvidence* variant = FindVariant(all, name);
    if (variant == nullptr) {
      const bool alone = VariantsOf(comparison).size() == 1;
      return NotAsked(rule, alone ? name : each, Concat("variant ", name, " is not in this run"));
    }
    variants.push_back(variant);
  }
  if (variants.size() == 1) return JudgeAlone(rule, comparison, *variants.front());
  if (run.quick) return NotAsked(rule, each, "variants are not compared in a quick run");
  return JudgeTogether(rule, comparison, each, lab, variants, noise);
}

}  // namespace

std::vector<Judged> JudgeExpectation(const ExpectSpec& rule, const Lab& lab, const Run& run,
                                     const std::vector<VariantEvidence>& all, const std::vector<Noise>& noise) {
  const absl::StatusOr<Comparison> parsed = ParseComparison(rule.expression);
  if (!parsed.ok()) {
    Judged judged = NotAsked(rule, "", std::string(parsed.status().message()));
    judged.finding.state = State::kInconclusive;
    return {judged};
  }
  const std::set<std::string> variants = VariantsOf(*parsed);
  if (!variants.contains("each")) return {JudgeFor(rule, *parsed, "", lab, run, all, noise)};
  std::vector<Judged> judged;
  for (const VariantEvidence& variant : all) {
    // "each.p99 <= 2 * deny.p99" compares deny with nobody.
    if (variants.contains(variant.name)) continue;
    judged.push_back(JudgeFor(rule, ForVariant(*parsed, variant.name), variant.name, lab, run, all, noise));
  }
  return judged;
}

Judged JudgeInvariant(const std::string& rule, const Lab& lab, const VariantEvidence& variant) {
  Judged judged;
  Finding& finding = judged.finding;
  finding.rule = rule.substr(0, rule.find('{'));
  finding.text = rule;
  finding.variant = variant.name;
  finding.state = State::kPass;
  const absl::StatusOr<Node> call = ParseCall(rule);
  const Invariant* invariant = call.ok() ? FindInvariant(call->name) : nullptr;
  if (invariant == nullptr) {
    finding.state = State::kInconclusive;
    finding.why = "unknown invariant";
    return judged;
  }
  std::string missing;
  for (const TrialEvidence* repeat : AllTrials(variant)) {
    InvariantResult result;
    result.why = repeat->unfit;
    if (repeat->unfit.empty()) result = invariant->check(*repeat->trial, lab, Selectors(call->selectors));
    const std::string label = RepeatLabel(variant, *repeat);
    if (result.state == State::kInconclusive && missing.empty()) missing = Concat(label, result.why);
    if (result.state == State::kPass && finding.measured.empty()) finding.measured = result.measured;
    if (result.state == State::kFail) {
      if (finding.state != State::kFail) finding.measured = Concat(label, result.measured);
      finding.state = State::kFail;
      if (!result.no_catch.empty()) missing = Concat(label, result.no_catch);
    }
    for (const std::string& offender : result.offenders) {
      if (finding.offenders.size() < kMaxOffenders) finding.offenders.push_back(Concat(label, offender));
    }
  }
  if (!missing.empty()) {
    if (finding.state != State::kFail) finding.state = State::kInconclusive;
    finding.why = missing;
  }
  return judged;
}

}  // namespace lab::bench
