#include "bench/judge/together.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

using Sides = std::vector<const TrialEvidence*>;  // which trial stands for each of the variants

Evidence ValueOf(const TrialEvidence& repeat, const std::string& value) {
  const auto found = repeat.values.find(value);
  return found == repeat.values.end() ? Evidence::None(Concat("unknown value ", value)) : found->second;
}

double ErrorOf(const Lab& lab) { return kErrorBound / static_cast<double>(std::max<size_t>(1, CountComparisons(lab))); }

std::string Ratios(const Interval& interval) { return absl::StrFormat("%.3g … %.3gx", interval.low, interval.high); }

// Every outcome of a comparison: of all pairs of blocks, or of the blocks.
struct Outcomes {
  std::vector<Compared> list;
  std::string why;  // one has no value
};

Outcomes OutcomesOf(const Comparison& comparison, Pairing pairing, size_t blocks,
                    const std::vector<const VariantEvidence*>& variants) {
  Outcomes outcomes;
  for (size_t first = 0; first < blocks; ++first) {
    for (size_t second = 0; second < blocks; ++second) {
      if (pairing == Pairing::kBlocks && second != first) continue;
      Compared compared = Compare(comparison, [&](const std::string& name, const std::string& value) {
        for (size_t i = 0; i < variants.size(); ++i) {
          if (variants[i]->name == name) return ValueOf(variants[i]->repeats[i == 0 ? first : second], value);
        }
        return Evidence::None(Concat("unknown variant ", name));
      });
      if (compared.state == State::kInconclusive) {
        outcomes.why = Concat("block ", second + 1, ": ", compared.why);
        return outcomes;
      }
      outcomes.list.push_back(std::move(compared));
    }
  }
  return outcomes;
}

// What the outcomes say about the bound, however noisy the run was.
State StateOf(const std::string& op, const std::vector<Compared>& outcomes, size_t allowed) {
  size_t held = 0, below = 0, above = 0;
  for (const Compared& outcome : outcomes) {
    held += outcome.state == State::kPass ? 1 : 0;
    if (outcome.state == State::kPass) continue;
    (*outcome.left < *outcome.right ? below : above) += 1;
  }
  const size_t all = outcomes.size();
  if (all - held <= allowed) return State::kPass;
  // Outside on both sides is wide, not wrong: it is missed only when it is missed on one side.
  const bool two_sided = op == "within" || op == "==";
  const size_t missed = two_sided ? std::max(below, above) : all - held;
  return all - missed <= allowed ? State::kFail : State::kInconclusive;
}

// left / bound over all outcomes; none where a side is 0 or negative.
std::optional<std::vector<double>> RatiosOf(const std::vector<Compared>& outcomes) {
  std::vector<double> ratios;
  for (const Compared& outcome : outcomes) {
    const bool above = *outcome.left > *outcome.right;
    const double bound = above ? *outcome.high : *outcome.right;
    if (*outcome.left <= 0 || bound <= 0) return std::nullopt;
    ratios.push_back(*outcome.left / bound);
  }
  return ratios;
}

// The widest noise of the values that this comparison names.
std::optional<Interval> NoiseOfValues(const Comparison& comparison, const std::vector<Noise>& noise, std::string* why) {
  std::optional<Interval> widest;
  Walk(comparison, [&](const Node& node) {
    if (node.kind != Node::Kind::kReference) return;
    for (const Noise& one : noise) {
      if (one.value != node.name) continue;
      if (!one.low) {
        if (why->empty() && one.blocks == 0) *why = Concat("the noise of ", one.value, " ", one.why);
        continue;
      }
      if (!widest) widest = Interval{*one.low, *one.high};
      widest->low = std::min(widest->low, *one.low);
      widest->high = std::max(widest->high, *one.high);
    }
  });
  return widest;
}

std::string NeedsMore(Pairing pairing, size_t comparisons, size_t needed, size_t blocks) {
  return Concat(comparisons == 1 ? "a comparison of variants needs " : "comparisons of variants need ", needed,
                pairing == Pairing::kBlocks ? " interleaved repeats when more than two or a max() or min() of both are "
                                              "compared, there are "
                                            : " interleaved repeats, there are ",
                blocks, "; run with --repeat ", needed);
}

// Of the noise of one value, from the blocks of the variant that ran twice.
Noise NoiseOfValue(const VariantEvidence& variant, const std::string& value, double error) {
  Noise noise{variant.name, value, {}, {}, {}, 0, ""};
  const size_t blocks = std::min(variant.repeats.size(), variant.again.size());
  const std::optional<size_t> allowed = Allowed(Pairing::kAllPairs, blocks, error);
  std::vector<double> ratios;
  bool all_zero = true;
  for (size_t i = 0; i < blocks; ++i) {
    for (size_t j = 0; j < blocks; ++j) {
      const Evidence once = ValueOf(variant.repeats[i], value), again = ValueOf(variant.again[j], value);
      if (!once.value || !again.value) {
        noise.why = Concat("is not known: ", once.value ? again.why : once.why);
        return noise;
      }
      all_zero = all_zero && *once.value == 0 && *again.value == 0;
      if (*once.value > 0 && *again.value > 0) ratios.push_back(*again.value / *once.value);
    }
  }
  if (!allowed) {
    noise.why = Concat("is not known: ", blocks, " blocks are too few");
    return noise;
  }
  noise.blocks = blocks;
  if (all_zero) ratios.assign(blocks * blocks, 1);
  if (ratios.size() < blocks * blocks) {
    noise.why = "has no ratio: it is 0 in some blocks";
    return noise;
  }
  noise.middle = MiddleOf(ratios);
  const Interval interval = IntervalOf(std::move(ratios), *allowed);
  noise.low = interval.low;
  noise.high = interval.high;
  return noise;
}

void Describe(const std::vector<Compared>& outcomes, size_t blocks, size_t allowed, Finding& finding) {
  const Compared& middle = outcomes[outcomes.size() / 2];
  const auto held = std::count_if(outcomes.begin(), outcomes.end(),
                                  [](const Compared& outcome) { return outcome.state == State::kPass; });
  finding.left = middle.left;
  finding.right = middle.right;
  finding.measured = middle.text;
  if (std::optional<std::vector<double>> ratios = RatiosOf(outcomes)) {
    const Interval interval = IntervalOf(std::move(*ratios), allowed);
    finding.low = interval.low;
    finding.high = interval.high;
    finding.measured += Concat(", ", Ratios(interval), " of the bound");
  }
  finding.measured += Concat(", ", blocks, " blocks, held in ", held, " of ", outcomes.size(),
                             outcomes.size() > blocks ? " pairs" : "");
}

}  // namespace

std::vector<Noise> NoiseOf(const Lab& lab, const std::vector<VariantEvidence>& all) {
  std::vector<Noise> noise;
  for (const VariantEvidence& variant : all) {
    if (variant.again.empty()) continue;
    for (const ValueSpec& value : lab.values) {
      bool named = false;
      for (const ExpectSpec& rule : lab.expect) {
        if (ComparisonsIn(rule.expression, lab) == 0) continue;
        Walk(*ParseComparison(rule.expression), [&](const Node& node) {
          named = named || (node.kind == Node::Kind::kReference && node.name == value.name);
        });
      }
      if (named) noise.push_back(NoiseOfValue(variant, value.name, ErrorOf(lab)));
    }
  }
  return noise;
}

Judged JudgeTogether(const ExpectSpec& rule, const Comparison& comparison, const std::string& each, const Lab& lab,
                     const std::vector<const VariantEvidence*>& variants, const std::vector<Noise>& noise) {
  Judged judged;
  Finding& finding = judged.finding;
  finding.rule = rule.name;
  finding.text = rule.expression;
  finding.variant = each;
  const Pairing pairing = PairingOf(comparison);
  const size_t comparisons = std::max<size_t>(1, CountComparisons(lab));
  size_t blocks = std::numeric_limits<size_t>::max();
  for (const VariantEvidence* variant : variants) blocks = std::min(blocks, variant->repeats.size());
  const size_t needed = LeastBlocks(pairing, comparisons);
  if (blocks < needed) {
    finding.why = NeedsMore(pairing, comparisons, needed, blocks);
    return judged;
  }
  const size_t allowed = *Allowed(pairing, blocks, ErrorOf(lab));
  Outcomes outcomes = OutcomesOf(comparison, pairing, blocks, variants);
  if (!outcomes.why.empty()) {
    finding.why = outcomes.why;
    return judged;
  }
  std::sort(outcomes.list.begin(), outcomes.list.end(),
            [](const Compared& a, const Compared& b) { return a.excess < b.excess; });
  Describe(outcomes.list, blocks, allowed, finding);
  judged.factor = outcomes.list.front().factor;
  finding.state = StateOf(comparison.op, outcomes.list, allowed);
  if (finding.state == State::kInconclusive) finding.why = Concat("no difference beyond noise in ", blocks, " blocks");
  std::string unknown;
  const std::optional<Interval> same = NoiseOfValues(comparison, noise, &unknown);
  if (noise.empty()) unknown = "no variant was run against itself";
  const bool equivalence = finding.state == State::kPass && (comparison.op == "within" || comparison.op == "==");
  if (finding.state == State::kInconclusive || equivalence) return judged;  // claims no difference
  if (!unknown.empty()) {
    finding.state = State::kInconclusive;
    finding.why = unknown;
  } else if (same && finding.low && *finding.low >= same->low && *finding.high <= same->high) {
    finding.state = State::kInconclusive;
    finding.why = Concat("no difference beyond noise: the same design against itself differs by ", Ratios(*same));
  }
  return judged;
}

}  // namespace lab::bench
