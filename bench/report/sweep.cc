#include "bench/report/sweep.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/judge/difference.h"
#include "bench/judge/evidence.h"
#include "bench/judge/judge.h"
#include "bench/judge/median_interval.h"
#include "bench/report/text.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

// All values of the knob as numbers on one axis; none when one of them is a name.
std::vector<std::optional<double>> Places(const SweepKnob& knob, const std::vector<std::string>& plan) {
  std::vector<std::optional<double>> places;
  for (const std::string& value : plan) {
    const absl::StatusOr<double> number = ParseQuantity(value);
    if (knob.type == "bool" || !number.ok()) return std::vector<std::optional<double>>(plan.size());
    places.emplace_back(*number);
  }
  return places;
}

void Estimate(SweepEstimate& estimate) {
  std::vector<SweepBlock> fit;
  for (const SweepBlock& block : estimate.blocks) {
    if (block.value) fit.push_back(block);
  }
  if (fit.empty()) return;
  std::sort(fit.begin(), fit.end(), [](const SweepBlock& a, const SweepBlock& b) {
    return a.at_least != b.at_least ? b.at_least : *a.value < *b.value;
  });
  const SweepBlock& upper = fit[fit.size() / 2];
  const SweepBlock& lower = fit[(fit.size() - 1) / 2];
  estimate.at_least = upper.at_least;
  estimate.median = upper.at_least ? *upper.value : (*upper.value + *lower.value) / 2;
  const MedianRanks ranks = MedianInterval(fit.size());
  estimate.low = fit[ranks.low].value;
  estimate.high = fit[ranks.high].value;
  estimate.high_at_least = fit[ranks.high].at_least;
  estimate.coverage = ranks.coverage;
}

// The planned blocks of one variant; one that was never run says so.
SweepEstimate Estimate(const VariantEvidence* evidence, const std::string& value, int blocks,
                       const std::string& why_not_run) {
  SweepEstimate estimate;
  for (int repeat = 1; repeat <= blocks; ++repeat) {
    SweepBlock block{repeat, {}, false, why_not_run};
    for (size_t i = 0; evidence != nullptr && i < evidence->repeats.size(); ++i) {
      const TrialEvidence& trial = evidence->repeats[i];
      const auto found = trial.values.find(value);
      if (trial.trial->repeat != repeat || found == trial.values.end()) continue;
      block.value = found->second.value;
      block.at_least = found->second.at_least;
      block.why = found->second.why;
      estimate.samples += found->second.samples;
      if (!found->second.unit.label.empty()) estimate.unit = found->second.unit.label;
    }
    estimate.blocks.push_back(std::move(block));
  }
  Estimate(estimate);
  return estimate;
}

SweepPoint MakePoint(const Lab& lab, const Sweep& sweep, std::string value, std::optional<double> x, const Run& run) {
  SweepPoint point;
  point.value = std::move(value);
  point.x = x;
  const std::vector<VariantEvidence> all = CollectEvidence(lab, run);
  point.findings = Judge(lab, run, all).findings;
  const bool no_knee = run.knee && !run.knee->per_s;
  const std::string why_not_run = no_knee ? absl::StrCat("no knee: ", run.knee->why) : "was not run";
  for (const VariantInfo& variant : sweep.variants) {
    for (const ValueInfo& shown : sweep.values) {
      point.estimates[{variant.name, shown.name}] =
          Estimate(FindVariant(all, variant.name), shown.name, sweep.blocks, why_not_run);
    }
  }
  for (const Trial& trial : run.trials) {
    const std::string of = absl::StrCat(trial.variant, " (", trial.repeat, "): ");
    for (const std::string& problem : trial.problems) point.problems.push_back(absl::StrCat(of, problem));
    for (const std::string& problem : trial.host_problems) point.host_problems.push_back(absl::StrCat(of, problem));
  }
  return point;
}

// The estimates of this value that have one; none of a variant in which it was measured nowhere.
std::vector<const SweepEstimate*> Estimates(const Sweep& sweep, const std::string& variant, const std::string& value) {
  std::vector<const SweepEstimate*> points;
  bool any = false;
  for (const SweepPoint& point : sweep.points) {
    const SweepEstimate* estimate = FindEstimate(point, variant, value);
    if (estimate == nullptr) continue;
    points.push_back(estimate);
    any = any || estimate->fit() > 0;
  }
  return any ? points : std::vector<const SweepEstimate*>();
}

// Pairs of a block of `a` with one of `b` of which it is not known that the former is below: equal ones too, and a
// value that is only known to be at least so large.
size_t NotBelow(const SweepEstimate& a, const SweepEstimate& b) {
  size_t pairs = 0;
  for (const SweepBlock& one : a.blocks) {
    for (const SweepBlock& other : b.blocks) {
      if (one.value && other.value) pairs += one.at_least || *one.value >= *other.value;
    }
  }
  return pairs;
}

// How many blocks have a value, of all estimates that have any.
std::set<size_t> FitBlocks(const Sweep& sweep) {
  std::set<size_t> fit;
  for (const SweepPoint& point : sweep.points) {
    for (const auto& [name, estimate] : point.estimates) fit.insert(estimate.fit());
  }
  fit.erase(0);
  return fit;
}

// What may be said of values that move; "" where there is nothing to compare.
std::string MoveNote(const Sweep& sweep) {
  const size_t comparisons = ComparisonsOf(sweep), needed = BlocksToTell(sweep);
  if (comparisons == 0) return "";
  const std::string all =
      absl::StrCat(comparisons, comparisons == 1 ? " comparison" : " comparisons", " of two points");
  if (static_cast<size_t>(sweep.blocks) < needed) {
    return absl::StrCat(" What moves with the knob cannot be said with ", sweep.blocks, " blocks: ", all, " take ",
                        needed, " (--repeat ", needed, ").");
  }
  return absl::StrFormat(" A value that does not move is said to in at most %.0f %% of sweeps, over its %s.",
                         kErrorBound * 100, all);
}

void Describe(const Lab& lab, const std::vector<std::string>& variants, const Run& run, Sweep& sweep) {
  sweep.lab = run.lab;
  sweep.title = run.title;
  sweep.question = lab.question;
  sweep.folder = run.folder;
  sweep.started = run.started;
  sweep.revision = run.revision;
  sweep.command = run.command;
  sweep.host = run.host;
  sweep.changed = run.changed;
  sweep.changed.erase(sweep.knob.name());
  sweep.seed = run.seed;
  sweep.quick = run.quick;
  sweep.duration_s = run.duration_s;
  sweep.load = LoadText(lab, run.knee);
  for (const ValueSpec& value : lab.values) {
    if (!value.show.empty()) sweep.values.push_back({value.name, value.show, value.expression});
  }
  for (const VariantSpec& variant : lab.variants) {
    if (std::find(variants.begin(), variants.end(), variant.name) == variants.end()) continue;
    sweep.variants.push_back({variant.name, variant.note, variant.caught_by, variant.broken});
  }
}

}  // namespace

size_t SweepEstimate::fit() const {
  return static_cast<size_t>(
      std::count_if(blocks.begin(), blocks.end(), [](const SweepBlock& block) { return block.value.has_value(); }));
}

Sweep MakeSweep(const Lab& lab, const SweepKnob& knob, const std::vector<std::string>& plan,
                const std::vector<std::string>& variants, int blocks, std::vector<Run> runs) {
  Sweep sweep;
  sweep.knob = knob;
  sweep.blocks = blocks;
  if (runs.empty()) return sweep;
  Describe(lab, variants, runs.front(), sweep);
  const std::vector<std::optional<double>> places = Places(knob, plan);
  std::set<std::string> versions;  // also those that only some values of the knob bring
  for (size_t i = 0; i < runs.size() && i < plan.size(); ++i) {
    Run& run = runs[i];
    sweep.interrupted = sweep.interrupted || run.interrupted;
    sweep.points.push_back(MakePoint(lab, sweep, plan[i], places[i], run));
    for (std::string& version : VersionsOf(run.trials)) versions.insert(std::move(version));
    std::vector<Trial>().swap(run.trials);  // its operations are large, and in files by now
  }
  sweep.versions.assign(versions.begin(), versions.end());
  std::stable_sort(sweep.points.begin(), sweep.points.end(),
                   [](const SweepPoint& a, const SweepPoint& b) { return a.x && b.x && *a.x < *b.x; });
  return sweep;
}

std::vector<std::string> Lacking(const Sweep& sweep) {
  std::vector<std::string> lines;
  for (const SweepPoint& point : sweep.points) {
    for (const VariantInfo& variant : sweep.variants) {
      std::map<std::string, std::vector<std::string>> by_reason;  // many values often lack the same
      for (const ValueInfo& value : sweep.values) {
        const SweepEstimate* estimate = FindEstimate(point, variant.name, value.name);
        if (estimate == nullptr || estimate->complete()) continue;
        const auto missing = std::find_if(estimate->blocks.begin(), estimate->blocks.end(),
                                          [](const SweepBlock& block) { return !block.value; });
        by_reason[absl::StrCat(estimate->fit(), " of ", estimate->blocks.size(), " blocks have a value; ",
                               missing == estimate->blocks.end() ? "" : missing->why)]
            .push_back(value.label);
      }
      for (const auto& [reason, labels] : by_reason) {
        const std::string what = labels.size() == sweep.values.size() ? "everything" : absl::StrJoin(labels, ", ");
        lines.push_back(absl::StrCat(variant.name, " at ", point.value, ": ", what, ": ", reason));
      }
    }
  }
  return lines;
}

int ExitStatus(const Sweep& sweep) {
  if (sweep.interrupted) return 70;
  return sweep.points.empty() || !Lacking(sweep).empty() ? 2 : 0;
}

size_t ComparisonsOf(size_t points, size_t variants) { return points < 2 ? 0 : points * (points - 1) / 2 * variants; }

size_t ComparisonsOf(const Sweep& sweep) { return ComparisonsOf(sweep.points.size(), sweep.variants.size()); }

size_t BlocksToTell(size_t points, size_t variants) {
  return LeastBlocks(Pairing::kAllPairs, ComparisonsOf(points, variants));
}

size_t BlocksToTell(const Sweep& sweep) { return BlocksToTell(sweep.points.size(), sweep.variants.size()); }

std::optional<bool> Moves(const Sweep& sweep, const std::string& value) {
  const double error = kErrorBound / static_cast<double>(std::max<size_t>(1, ComparisonsOf(sweep)));
  std::map<std::pair<size_t, size_t>, std::optional<size_t>> allowed;  // by blocks with a value
  bool compared = false, all = true;
  for (const VariantInfo& variant : sweep.variants) {
    const std::vector<const SweepEstimate*> points = Estimates(sweep, variant.name, value);
    for (size_t i = 0; i < points.size(); ++i) {
      for (size_t j = i + 1; j < points.size(); ++j) {
        const std::pair<size_t, size_t> fit = {points[i]->fit(), points[j]->fit()};
        if (!allowed.contains(fit)) {
          const bool few = std::min(fit.first, fit.second) < kLeastBlocks;
          allowed[fit] = few ? std::nullopt : AllowedPairs(fit.first, fit.second, error);
        }
        const std::optional<size_t>& most = allowed[fit];
        compared = compared || most;
        all = all && most;
        if (!most) continue;
        if (NotBelow(*points[i], *points[j]) <= *most || NotBelow(*points[j], *points[i]) <= *most) return true;
      }
    }
  }
  return compared && all ? std::optional(false) : std::nullopt;
}

State StateAt(const SweepPoint& point, const std::string& rule) {
  State worst = State::kNotAsked;
  for (const Finding& finding : point.findings) {
    if (finding.rule != rule || finding.control || finding.state == State::kNotAsked) continue;
    const bool worse = worst == State::kNotAsked || finding.state == State::kFail ||
                       (finding.state == State::kInconclusive && worst == State::kPass);
    if (worse) worst = finding.state;
  }
  return worst;
}

std::vector<ValueGroup> GroupsOf(const Sweep& sweep) {
  ValueGroup moving{true, "moves with the knob", {}}, unknown,
      still{false, "does not move beyond the noise of the blocks", {}};
  const auto blocks = static_cast<size_t>(std::max(1, sweep.blocks));
  unknown.title = blocks < BlocksToTell(sweep)
                      ? absl::StrCat("cannot be said with ", blocks, blocks == 1 ? " block" : " blocks")
                      : "cannot be said: too few blocks have a value";
  for (const ValueInfo& value : sweep.values) {
    const std::optional<bool> moves = Moves(sweep, value.name);
    (!moves ? unknown : *moves ? moving : still).values.push_back(&value);
  }
  if (moving.values.empty() && still.values.empty()) unknown.title.clear();
  std::vector<ValueGroup> groups;
  for (ValueGroup* group : {&moving, &unknown, &still}) {
    if (!group->values.empty()) groups.push_back(std::move(*group));
  }
  return groups;
}

std::vector<std::string> RulesAsked(const Sweep& sweep) {
  std::vector<std::string> rules;
  for (const SweepPoint& point : sweep.points) {
    for (const Finding& finding : point.findings) {
      const bool asked = StateAt(point, finding.rule) != State::kNotAsked;
      if (asked && std::find(rules.begin(), rules.end(), finding.rule) == rules.end()) rules.push_back(finding.rule);
    }
  }
  return rules;
}

const SweepEstimate* FindEstimate(const SweepPoint& point, const std::string& variant, const std::string& value) {
  const auto found = point.estimates.find({variant, value});
  return found == point.estimates.end() ? nullptr : &found->second;
}

std::string MedianText(const SweepEstimate* estimate) {
  if (estimate == nullptr || !estimate->median) return "–";
  return absl::StrCat(estimate->at_least ? "> " : "", FormatQuantity(*estimate->median, estimate->unit));
}

std::string IntervalText(const SweepEstimate* estimate) {
  if (estimate == nullptr || !estimate->low || estimate->fit() < 2) return "";
  std::string low = FormatQuantity(*estimate->low, estimate->unit);
  const std::string high = FormatQuantity(*estimate->high, estimate->unit);
  const size_t unit_low = low.rfind(' '), unit_high = high.rfind(' ');  // "5.9 ms … 6.4 ms" is "5.9 … 6.4 ms"
  const bool same =
      unit_low != std::string::npos && unit_high != std::string::npos && low.substr(unit_low) == high.substr(unit_high);
  if (same) low.resize(unit_low);
  return absl::StrCat(low, " … ", estimate->high_at_least ? "> " : "", high);
}

std::string BlocksText(const SweepEstimate* estimate) {
  if (estimate == nullptr || estimate->fit() == estimate->blocks.size()) return "";
  return absl::StrCat(estimate->fit(), " of ", estimate->blocks.size(), " blocks");
}

std::string IntervalNote(const Sweep& sweep) {
  if (sweep.blocks <= 1) return "One block a point: there is no interval. --repeat 5 gives one.";
  const std::set<size_t> fit = FitBlocks(sweep);
  const auto fewest = fit.lower_bound(2);  // of a single block there is no interval
  if (fewest == fit.end()) return "No point has two blocks with a value: there is no interval.";
  const MedianRanks ranks = MedianInterval(*fewest);
  const bool same = fit.size() == 1;
  std::string note =
      absl::StrFormat("Median of %s interleaved blocks; %s %s encloses the true median in %.0f %% of cases.",
                      same ? absl::StrCat(*fewest) : absl::StrCat(*fit.begin(), " to ", *fit.rbegin()),
                      same ? "its interval" : absl::StrCat("an interval of ", *fewest),
                      ranks.low == 0 ? "(the range of the blocks)" : "(order statistics)", ranks.coverage * 100);
  if (ranks.coverage < 0.9) note += " Fewer than 90 %: five blocks with a value give intervals to quote.";
  return note + MoveNote(sweep);
}

absl::Status WriteSweep(const Sweep& sweep) {
  const std::string base = sweep.folder + "/sweep.";
  for (const auto& [extension, text] : {std::pair<const char*, std::string>{"json", SweepJson(sweep)},
                                        {"md", SweepMarkdown(sweep)},
                                        {"html", SweepHtml(sweep)}}) {
    if (absl::Status written = WriteFileAtomic(base + extension, text); !written.ok()) return written;
  }
  return absl::OkStatus();
}

}  // namespace lab::bench
