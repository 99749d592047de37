#include "bench/judge/findings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bench/judge/invariants.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kErrorBound = 0.1;  // of all comparisons of a lab together (Bonferroni)

std::set<std::string> VariantsOf(const Comparison& comparison) {
  std::set<std::string> variants;
  Walk(comparison, [&](const Node& node) {
    if (node.kind == Node::Kind::kReference) variants.insert(node.variant);
  });
  return variants;
}

Judged NotAsked(const ExpectSpec& rule, const std::string& variant, std::string why) {
  Judged judged;
  judged.finding.rule = rule.name;
  judged.finding.text = rule.expression;
  judged.finding.variant = variant;
  judged.finding.state = State::kNotAsked;
  judged.finding.why = std::move(why);
  return judged;
}

// "repeat 2: ", where there is more than one.
std::string RepeatLabel(const VariantEvidence& variant, const TrialEvidence& repeat) {
  return variant.repeats.size() > 1 ? Concat("repeat ", repeat.trial->repeat, ": ") : "";
}

Evidence ValueOf(const TrialEvidence& repeat, const std::string& value) {
  const auto found = repeat.values.find(value);
  return found == repeat.values.end() ? Evidence::None(Concat("unknown value ", value)) : found->second;
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
  for (const TrialEvidence& repeat : variant.repeats) {
    const Compared compared =
        Compare(comparison, [&](const std::string&, const std::string& value) { return ValueOf(repeat, value); });
    if (compared.state == State::kInconclusive) {
      if (missing.empty()) missing = Concat(RepeatLabel(variant, repeat), compared.why);
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

// P(at least `hits` of `tries`) of a fair coin.
double CoinTail(size_t hits, size_t tries) {
  double sum = 0, ways = 1;
  for (size_t k = 0; k <= tries; ++k) {
    if (k > 0) ways = ways * static_cast<double>(tries - k + 1) / static_cast<double>(k);
    if (k >= hits) sum += ways;
  }
  return sum * std::pow(0.5, static_cast<double>(tries));
}

// The fewest blocks of which all on one side are unlikely enough: below it nothing could be decided.
size_t LeastBlocks(size_t comparisons) {
  size_t blocks = 1;
  while (CoinTail(blocks, blocks) > kErrorBound / static_cast<double>(comparisons)) ++blocks;
  return blocks;
}

// A comparison of variants, block by block (a block: the same repeat of each), decided by an exact sign test: it holds,
// or does not, only when so many blocks on one side would be unlikely if either were as likely.
Judged JudgeTogether(const ExpectSpec& rule, const Comparison& comparison, const std::string& each,
                     const std::vector<const VariantEvidence*>& variants, size_t comparisons) {
  const double bound = kErrorBound / static_cast<double>(comparisons);
  const size_t needed = LeastBlocks(comparisons);
  Judged judged = NotAsked(rule, each, "");
  Finding& finding = judged.finding;
  finding.state = State::kInconclusive;
  size_t blocks = std::numeric_limits<size_t>::max();
  for (const VariantEvidence* variant : variants) blocks = std::min(blocks, variant->repeats.size());
  if (blocks < needed) {
    finding.why = Concat(comparisons == 1 ? "a comparison of variants needs " : "comparisons of variants need ", needed,
                         " interleaved repeats, there are ", blocks, "; run with --repeat ", needed);
    return judged;
  }
  std::vector<Compared> outcomes;
  for (size_t block = 0; block < blocks; ++block) {
    const Compared compared = Compare(comparison, [&](const std::string& variant, const std::string& value) {
      for (const VariantEvidence* candidate : variants) {
        if (candidate->name == variant) return ValueOf(candidate->repeats[block], value);
      }
      return Evidence::None(Concat("unknown variant ", variant));
    });
    if (compared.state == State::kInconclusive) {
      finding.why = Concat("block ", block + 1, ": ", compared.why);
      return judged;
    }
    outcomes.push_back(compared);
  }
  std::sort(outcomes.begin(), outcomes.end(), [](const Compared& a, const Compared& b) { return a.excess < b.excess; });
  const size_t held = static_cast<size_t>(std::count_if(
      outcomes.begin(), outcomes.end(), [](const Compared& outcome) { return outcome.state == State::kPass; }));
  const Compared& middle = outcomes[outcomes.size() / 2];
  finding.left = middle.left;
  finding.right = middle.right;
  finding.measured = Concat(middle.text, ", held in ", held, " of ", blocks, " blocks");
  judged.factor = outcomes.front().factor;
  if (CoinTail(held, blocks) <= bound) {
    finding.state = State::kPass;
  } else if (CoinTail(blocks - held, blocks) <= bound) {
    finding.state = State::kFail;
  } else {
    finding.why = Concat("no difference beyond noise in ", blocks, " blocks");
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

// How many comparisons of variants a rule is, counting each. once a variant; 0: it speaks of one variant at a time.
size_t ComparisonsIn(const std::string& expression, const Lab& lab) {
  const absl::StatusOr<Comparison> comparison = ParseComparison(expression);
  if (!comparison.ok()) return 0;
  const std::set<std::string> variants = VariantsOf(*comparison);
  if (variants.size() < 2) return 0;
  // Those that it names are not compared with themselves.
  return variants.contains("each") ? lab.variants.size() - std::min(lab.variants.size(), variants.size() - 1) : 1;
}

size_t CountComparisons(const Lab& lab) {
  size_t count = 0;
  for (const ExpectSpec& rule : lab.expect) count += ComparisonsIn(rule.expression, lab);
  return std::max<size_t>(1, count);
}

Judged JudgeFor(const ExpectSpec& rule, const Comparison& comparison, const std::string& each, const Lab& lab,
                const Run& run, const std::vector<VariantEvidence>& all) {
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
  return JudgeTogether(rule, comparison, each, variants, CountComparisons(lab));
}

}  // namespace

size_t BlocksNeeded(const std::string& expression, const Lab& lab) {
  return ComparisonsIn(expression, lab) == 0 ? 0 : LeastBlocks(CountComparisons(lab));
}

std::vector<Judged> JudgeExpectation(const ExpectSpec& rule, const Lab& lab, const Run& run,
                                     const std::vector<VariantEvidence>& all) {
  const absl::StatusOr<Comparison> parsed = ParseComparison(rule.expression);
  if (!parsed.ok()) {
    Judged judged = NotAsked(rule, "", std::string(parsed.status().message()));
    judged.finding.state = State::kInconclusive;
    return {judged};
  }
  const std::set<std::string> variants = VariantsOf(*parsed);
  if (!variants.contains("each")) return {JudgeFor(rule, *parsed, "", lab, run, all)};
  std::vector<Judged> judged;
  for (const VariantEvidence& variant : all) {
    // "each.p99 <= 2 * deny.p99" compares deny with nobody.
    if (variants.contains(variant.name)) continue;
    judged.push_back(JudgeFor(rule, ForVariant(*parsed, variant.name), variant.name, lab, run, all));
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
  for (const TrialEvidence& repeat : variant.repeats) {
    InvariantResult result;
    result.why = repeat.unfit;
    if (repeat.unfit.empty()) result = invariant->check(*repeat.trial, lab, Selectors(call->selectors));
    const std::string label = RepeatLabel(variant, repeat);
    if (result.state == State::kInconclusive && missing.empty()) missing = Concat(label, result.why);
    if (result.state == State::kPass && finding.measured.empty()) finding.measured = result.measured;
    if (result.state != State::kFail) continue;
    finding.state = State::kFail;
    if (finding.offenders.empty()) finding.measured = Concat(label, result.measured);
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
