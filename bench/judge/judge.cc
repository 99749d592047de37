#include "bench/judge/judge.h"

#include <algorithm>
#include <cmath>

#include "bench/judge/evidence.h"
#include "bench/judge/fault_account.h"
#include "bench/judge/findings.h"
#include "bench/judge/together.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kCatchFactor = 3;  // how far a bound must be missed for a broken variant to count as caught

const VariantSpec* SpecOf(const Lab& lab, const std::string& name) {
  for (const VariantSpec& variant : lab.variants) {
    if (variant.name == name) return &variant;
  }
  return nullptr;
}

std::vector<Judged> JudgeAll(const Lab& lab, const Run& run, const std::vector<VariantEvidence>& all,
                             const std::vector<Noise>& noise) {
  std::vector<Judged> judged;
  for (const ExpectSpec& rule : lab.expect) {
    for (Judged& one : JudgeExpectation(rule, lab, run, all, noise)) judged.push_back(std::move(one));
  }
  for (const std::string& rule : lab.invariants) {
    for (const VariantEvidence& variant : all) judged.push_back(JudgeInvariant(rule, lab, variant));
  }
  return judged;
}

// Whether the broken variant violates the very rule that it says must catch it, and clearly.
Catch JudgeCatch(const VariantSpec& variant, const std::vector<Judged>& judged) {
  Catch result{variant.name, variant.caught_by, State::kInconclusive, ""};
  const auto about = std::find_if(judged.begin(), judged.end(), [&](const Judged& one) {
    // A comparison of variants is about none of them alone.
    return one.finding.rule == variant.caught_by &&
           (one.finding.variant == variant.name || one.finding.variant.empty());
  });
  if (about == judged.end()) {
    result.text = Concat(variant.name, ": ", variant.caught_by, " was not judged");
    return result;
  }
  const Finding& finding = about->finding;
  const bool invariant = !finding.offenders.empty();
  if (finding.state == State::kNotAsked) {
    result.state = State::kNotAsked;
    result.text = Concat(variant.caught_by, " was not asked: ", finding.why);
  } else if (finding.state == State::kInconclusive || (finding.state == State::kFail && !finding.why.empty())) {
    result.text = Concat("whether ", variant.caught_by, " catches ", variant.name, " cannot be said: ", finding.why);
  } else if (finding.state == State::kPass) {
    result.state = State::kFail;
    result.text = Concat(variant.name, " got away: ", variant.caught_by, " holds, ", finding.measured);
  } else if (invariant || about->factor >= kCatchFactor) {
    result.state = State::kPass;
    result.text = Concat(variant.name, " breaks ", variant.caught_by, ": ", finding.measured);
  } else {
    result.state = State::kFail;
    result.text =
        Concat(variant.name, " misses ", variant.caught_by, " by less than a factor of three: ", finding.measured);
  }
  return result;
}

std::vector<Measured> Values(const Lab& lab, const std::vector<VariantEvidence>& all) {
  std::vector<Measured> values;
  for (const ValueSpec& value : lab.values) {
    for (const VariantEvidence& variant : all) {
      const auto found = variant.medians.find(value.name);
      if (found == variant.medians.end()) continue;
      const Evidence& evidence = found->second;
      values.push_back({variant.name, value.name, evidence.value, evidence.unit.label, evidence.samples, evidence.why,
                        evidence.at_least});
    }
  }
  return values;
}

void Score(PredictionScore& score) {
  const double predicted = *score.predicted, measured = *score.measured;
  if (predicted > 0 && measured > 0) {
    score.factor = std::max(predicted / measured, measured / predicted);
  } else if (predicted == measured) {
    score.factor = 1;
  }
  score.band = !score.factor || *score.factor > 4 ? "off" : *score.factor > 2 ? "within 4x" : "within 2x";
}

std::vector<PredictionScore> Predictions(const Lab& lab, const Run& run, const std::vector<VariantEvidence>& all) {
  std::vector<PredictionScore> scores;
  for (const PredictSpec& question : lab.predict) {
    PredictionScore score{question.id, question.ask, question.unit, {}, {}, {}, "not asked"};
    const absl::StatusOr<Node> tree = ParseValue(question.value);
    bool in_run = tree.ok();
    if (in_run) {
      Walk(*tree, [&](const Node& node) {
        if (node.kind == Node::Kind::kReference && FindVariant(all, node.variant) == nullptr) in_run = false;
      });
    }
    if (in_run) {
      const Evidence evidence = EvaluateReferences(*tree, [&](const std::string& name, const std::string& value) {
        const VariantEvidence* variant = FindVariant(all, name);
        const auto found = variant->medians.find(value);
        return found == variant->medians.end() ? Evidence::None("unknown value") : found->second;
      });
      score.measured = evidence.value;
    }
    const auto given = run.predictions.find(question.id);
    if (given != run.predictions.end()) {
      score.predicted = given->second;
      if (in_run) score.band = "not measured";
      if (score.measured) Score(score);
    }
    scores.push_back(std::move(score));
  }
  return scores;
}

struct Tally {
  int pass = 0, fail = 0, inconclusive = 0;
  std::vector<std::string> failed, unclear;

  void Count(State state, const std::string& line) {
    if (state == State::kPass) ++pass;
    if (state == State::kFail) {
      ++fail;
      failed.push_back(line);
    }
    if (state == State::kInconclusive) {
      ++inconclusive;
      unclear.push_back(line);
    }
  }
};

std::string Line(const Finding& finding) {
  const std::string about = finding.variant.empty() ? "" : Concat(" (", finding.variant, ")");
  const std::string detail = finding.state == State::kInconclusive ? finding.why : finding.measured;
  const bool named = finding.state == State::kFail && !finding.offenders.empty();
  const std::string first = named ? Concat("; ", finding.offenders.front()) : "";
  return Concat(finding.rule, about, ": ", detail, first);
}

void Conclude(const Tally& tally, Verdict& verdict) {
  const int asked = tally.pass + tally.fail + tally.inconclusive;
  if (tally.fail > 0) {
    verdict.state = State::kFail;
    verdict.reasons.push_back(Concat(tally.fail, " of ", asked, " checks failed"));
  } else if (tally.inconclusive > 0) {
    verdict.state = State::kInconclusive;
    verdict.reasons.push_back(Concat(tally.inconclusive, " of ", asked, " checks have not enough evidence"));
  } else if (asked == 0) {
    verdict.state = State::kInconclusive;
    verdict.reasons.push_back("nothing was asked of these variants");
  } else {
    verdict.state = State::kPass;
    verdict.reasons.push_back(Concat("all ", asked, " checks hold"));
  }
  verdict.reasons.insert(verdict.reasons.end(), tally.failed.begin(), tally.failed.end());
  verdict.reasons.insert(verdict.reasons.end(), tally.unclear.begin(), tally.unclear.end());
}

}  // namespace

Verdict Judge(const Lab& lab, const Run& run) { return Judge(lab, run, CollectEvidence(lab, run)); }

Verdict Judge(const Lab& lab, const Run& run, const std::vector<VariantEvidence>& all) {
  Verdict verdict;
  verdict.noise = NoiseOf(lab, all);
  std::vector<Judged> judged = JudgeAll(lab, run, all, verdict.noise);
  verdict.values = Values(lab, all);
  verdict.recoveries = AccountsOf(lab, all);
  verdict.predictions = Predictions(lab, run, all);

  // Only from here on does it matter which variants are broken on purpose.
  const auto is_broken = [&](const std::string& name) {
    const VariantSpec* spec = SpecOf(lab, name);
    return spec != nullptr && spec->broken;
  };
  const bool all_broken =
      std::all_of(all.begin(), all.end(), [&](const VariantEvidence& variant) { return is_broken(variant.name); });
  Tally tally;
  for (Judged& one : judged) {
    one.finding.control = !all_broken && is_broken(one.finding.variant);
    if (!one.finding.control) tally.Count(one.finding.state, Line(one.finding));
  }
  for (const VariantEvidence& variant : all) {
    // Run alone, a broken variant is judged like any other: there is nothing left to be caught by.
    if (all_broken || !is_broken(variant.name)) continue;
    verdict.catches.push_back(JudgeCatch(*SpecOf(lab, variant.name), judged));
    tally.Count(verdict.catches.back().state, verdict.catches.back().text);
  }
  for (Judged& one : judged) verdict.findings.push_back(std::move(one.finding));
  for (const Trial& trial : run.trials) {
    if (SpecOf(lab, trial.variant) == nullptr)
      tally.Count(State::kInconclusive, Concat("unknown variant ", trial.variant));
  }
  Conclude(tally, verdict);
  if (run.knee && !run.knee->per_s) {
    // Nothing ran: its rates are shares of what was not found.
    verdict.state = State::kInconclusive;
    verdict.reasons = {Concat("no knee: ", run.knee->why)};
  }
  return verdict;
}

}  // namespace lab::bench
