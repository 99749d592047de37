#include "bench/report/sweep.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/judge/evidence.h"
#include "bench/judge/judge.h"
#include "bench/judge/median_interval.h"
#include "bench/report/text.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

constexpr size_t kBlocksToTell = 3;  // below it, intervals of two points lie apart too easily

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
  point.findings = Judge(lab, run).findings;
  const std::vector<VariantEvidence> all = CollectEvidence(lab, run);
  const bool no_knee = run.knee && !run.knee->per_s;
  const std::string why_not_run = no_knee ? absl::StrCat("no knee: ", run.knee->why) : "was not run";
  for (const VariantInfo& variant : sweep.variants) {
    for (const ValueInfo& shown : sweep.values) {
      point.estimates[{variant.name, shown.name}] =
          Estimate(FindVariant(all, variant.name), shown.name, sweep.blocks, why_not_run);
    }
  }
  for (const Trial& trial : run.trials) {
    for (const std::string& problem : trial.problems) {
      point.problems.push_back(absl::StrCat(trial.variant, " (", trial.repeat, "): ", problem));
    }
  }
  return point;
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
  std::set<std::string> versions;
  for (size_t i = 0; i < runs.size() && i < plan.size(); ++i) {
    Run& run = runs[i];
    sweep.interrupted = sweep.interrupted || run.interrupted;
    sweep.points.push_back(MakePoint(lab, sweep, plan[i], places[i], run));
    for (const Trial& trial : run.trials) {
      for (const PartInfo& part : trial.parts) {
        if (!part.version.empty() && part.version != part.kind) versions.insert(part.version);
      }
    }
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

std::optional<bool> Moves(const Sweep& sweep, const std::string& value) {
  bool told = false;
  for (const VariantInfo& variant : sweep.variants) {
    for (size_t i = 0; i < sweep.points.size(); ++i) {
      for (size_t j = i + 1; j < sweep.points.size(); ++j) {
        const SweepEstimate* a = FindEstimate(sweep.points[i], variant.name, value);
        const SweepEstimate* b = FindEstimate(sweep.points[j], variant.name, value);
        if (a == nullptr || b == nullptr || a->fit() < kBlocksToTell || b->fit() < kBlocksToTell) continue;
        told = true;
        // An upper end that is only known to be at least so large may reach anything above it.
        const bool below = *a->high < *b->low && !a->high_at_least;
        const bool above = *b->high < *a->low && !b->high_at_least;
        if (below || above) return true;
      }
    }
  }
  return told ? std::optional(false) : std::nullopt;
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

std::vector<std::pair<std::string, std::vector<const ValueInfo*>>> GroupsOf(const Sweep& sweep) {
  std::vector<const ValueInfo*> moving, unknown, still;
  for (const ValueInfo& value : sweep.values) {
    const std::optional<bool> moves = Moves(sweep, value.name);
    (!moves ? unknown : *moves ? moving : still).push_back(&value);
  }
  std::vector<std::pair<std::string, std::vector<const ValueInfo*>>> groups;
  if (!moving.empty()) groups.emplace_back("moves with the knob", moving);
  if (!unknown.empty()) groups.emplace_back(moving.empty() && still.empty() ? "" : "too few blocks to say", unknown);
  if (!still.empty()) groups.emplace_back("does not move beyond the noise of the blocks", still);
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

std::string IntervalNote(const Sweep& sweep) {
  const auto count = static_cast<size_t>(std::max(1, sweep.blocks));
  if (count == 1) return "One block a point: there is no interval. --repeat 5 gives one.";
  const MedianRanks ranks = MedianInterval(count);
  std::string note =
      absl::StrFormat("Median of %d interleaved blocks; its interval %s encloses the true median in %.0f %% of cases.",
                      count, ranks.low == 0 ? "(the range of the blocks)" : "(order statistics)", ranks.coverage * 100);
  if (ranks.coverage < 0.9) note += " Fewer than 90 %: --repeat 5 or more gives intervals to quote.";
  if (ranks.low == 0 && count >= kBlocksToTell) {
    // Of 2n draws from one distribution the n smallest are those of one point: 2 of C(2n, n) orders.
    double orders = 1;
    for (size_t i = 1; i <= count; ++i) orders = orders * static_cast<double>(count + i) / static_cast<double>(i);
    note += absl::StrFormat(" Ranges of two equal points lie apart by chance once in %.0f.", orders / 2);
  }
  return note;
}

std::string ConditionLine(const Sweep& sweep) {
  std::vector<std::string> facts = {absl::StrCat("seed ", sweep.seed)};
  if (sweep.quick) facts.push_back("quick");
  if (const auto cores = sweep.host.find("cores"); cores != sweep.host.end()) {
    facts.push_back(cores->second + " cores");
  }
  facts.insert(facts.end(), sweep.versions.begin(), sweep.versions.end());
  if (!sweep.revision.empty()) facts.push_back("build " + sweep.revision);
  if (!sweep.load.empty()) facts.push_back(sweep.load);
  for (const auto& [key, value] : sweep.changed) facts.push_back(absl::StrCat(key, "=", value));
  return absl::StrJoin(facts, " · ");
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
