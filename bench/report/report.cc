#include "bench/report/report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bench/judge/judge.h"
#include "bench/report/card.h"
#include "bench/report/html.h"
#include "bench/report/markdown.h"
#include "bench/report/result_json.h"
#include "bench/report/text.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

// "" for a load of bursts alone.
std::string RateText(const LoadSpec& load) {
  double low = load.rate.per_s;
  double high = std::max(load.rate.per_s, load.ramp_to_per_s);
  for (const auto& [phase, rate] : load.rate.by_phase) {
    if (rate <= 0) continue;
    low = low <= 0 ? rate : std::min(low, rate);
    high = std::max(high, rate);
  }
  if (load.arrivals == Arrivals::kClosed) return absl::StrCat(load.closed_clients, " clients, closed loop");
  if (load.arrivals == Arrivals::kReplay)
    return absl::StrCat("replay of ", std::filesystem::path(load.replay_file).filename().string());
  static constexpr const char* kNames[] = {"constant", "poisson", "ramp", "step", "spike"};
  const auto per_second = [](double rate) { return WithCommas(static_cast<uint64_t>(std::llround(rate))); };
  const std::string name = kNames[static_cast<int>(load.arrivals)];
  if (high <= 0) return "";
  if (high > low) return absl::StrCat(per_second(low), "–", per_second(high), " req/s ", name);
  return absl::StrCat(per_second(high), " req/s ", name);
}

// "17 bursts of 50 a key in each 4 s".
std::string BurstText(const BurstSpec& burst) {
  return absl::StrCat(burst.at.size(), burst.at.size() == 1 ? " burst of " : " bursts of ", burst.count,
                      " a key in each ", FormatQuantity(std::chrono::duration<double>(burst.every).count(), "s"));
}

// "60 % of the knee", "20–120 % of the knee"; "" of a rate that is none.
std::string KneeShares(const RateSpec& rate) {
  double low = rate.of_knee, high = rate.of_knee;
  for (const auto& [phase, share] : rate.of_knee_by_phase) {
    low = low <= 0 ? share : std::min(low, share);
    high = std::max(high, share);
  }
  if (high <= 0) return "";
  const auto percent = [](double share) { return ShortNumber(share * 100); };
  return absl::StrCat(low < high ? absl::StrCat(percent(low), "–") : "", percent(high), " % of the knee");
}

bool IsLatency(const Lab& lab, const std::string& value) {
  for (const ValueSpec& spec : lab.values) {
    if (spec.name == value) return absl::StartsWith(spec.expression, "latency_");
  }
  return false;
}

// Expectations of the form "<variant>.<value> <= <time>" about a latency; other forms have no place in the chart.
std::vector<LatencyBound> LatencyBounds(const Lab& lab) {
  std::vector<LatencyBound> bounds;
  for (const ExpectSpec& expect : lab.expect) {
    const size_t at = expect.expression.find(" <= ");
    const size_t dot = expect.expression.find('.');
    if (at == std::string::npos || dot == std::string::npos || dot > at) continue;
    const std::string variant = expect.expression.substr(0, dot);
    const std::string value = expect.expression.substr(dot + 1, at - dot - 1);
    if (!IsLatency(lab, value)) continue;
    const absl::StatusOr<double> limit = ParseQuantity(expect.expression.substr(at + 4));
    if (!limit.ok() || *limit <= 0) continue;
    bounds.push_back({expect.name, variant == "each" ? "" : variant, *limit});
  }
  return bounds;
}

// What outweighs what when several variants answer one question.
int Weight(State state) {
  switch (state) {
    case State::kFail:
      return 3;
    case State::kInconclusive:
      return 2;
    case State::kPass:
      return 1;
    case State::kNotAsked:
      return 0;
  }
  return 2;
}

void AddFault(const FaultRecord& fault, FaultSummary& summary) {
  ++summary.trials;
  summary.applied += fault.applied_s.has_value();
  if (fault.seen_s) {
    ++summary.seen;
    summary.slowest_seen_s = std::max(summary.slowest_seen_s.value_or(0), *fault.seen_s - fault.asked_s);
  }
  if (fault.healed_s) {
    ++summary.healed;
    const double from = fault.heal_asked_s.value_or(fault.asked_s);
    summary.slowest_healed_s = std::max(summary.slowest_healed_s.value_or(0), *fault.healed_s - from);
  }
  summary.lasting = summary.lasting || Lasting(fault);
  if (summary.evidence.empty()) summary.evidence = fault.evidence;
  if (summary.error.empty()) summary.error = fault.error;
}

}  // namespace

std::string LoadText(const Lab& lab, const std::optional<Knee>& knee) {
  std::vector<std::string> loads;
  const bool rated = knee && knee->per_s;
  const Lab offered = rated ? WithKnee(lab, *knee->per_s) : lab;
  for (size_t i = 0; i < offered.load.size(); ++i) {
    const LoadSpec& load = offered.load[i];
    const std::string shares = KneeShares(lab.load[i].rate);
    std::string rate = !rated && !shares.empty() ? shares : RateText(load);
    if (rated && !shares.empty()) absl::StrAppend(&rate, " (", shares, ")");
    std::vector<std::string> flows;
    if (!rate.empty()) flows.push_back(rate);
    for (const BurstSpec& burst : load.bursts) flows.push_back(BurstText(burst));
    std::string text = flows.empty() ? "nothing" : absl::StrJoin(flows, " and ");
    if (load.keys.count > 1) absl::StrAppend(&text, ", ", WithCommas(load.keys.count), " keys");
    if (load.lanes.size() > 1) absl::StrAppend(&text, ", ", load.lanes.size(), " lanes");
    loads.push_back(text);
  }
  return absl::StrJoin(loads, " + ");
}

Report MakeReport(const Lab& lab, Run run) {
  Report report;
  report.run = std::move(run);
  report.question = lab.question;
  report.load = LoadText(lab, report.run.knee);
  for (const ValueSpec& value : lab.values) report.values.push_back({value.name, value.show, value.expression});
  for (const VariantSpec& variant : lab.variants) {
    report.variants.push_back({variant.name, variant.note, variant.caught_by, variant.broken});
  }
  report.bounds = LatencyBounds(lab);
  for (const Trial& trial : report.run.trials) {
    report.timelines.push_back(MakeTimeline(trial));
    report.queueing.push_back(QueueingOf(trial, lab));
  }
  return report;
}

std::vector<Rule> RulesOf(const Report& report) {
  std::vector<Rule> rules;
  for (const Finding& finding : report.run.verdict.findings) {
    auto rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& r) { return r.name == finding.rule; });
    if (rule == rules.end()) {
      rules.push_back({finding.rule, finding.text, State::kNotAsked, {}});
      rule = rules.end() - 1;
    }
    rule->findings.push_back(&finding);
    if (!finding.control && Weight(finding.state) > Weight(rule->state)) rule->state = finding.state;
  }
  return rules;
}

std::vector<FaultSummary> SummarizeFaults(const Report& report) {
  std::vector<FaultSummary> faults;
  for (const Trial& trial : report.run.trials) {
    for (const FaultRecord& fault : trial.faults) {
      auto found = std::find_if(faults.begin(), faults.end(), [&](const FaultSummary& f) { return f.id == fault.id; });
      if (found == faults.end()) {
        faults.push_back({fault.id, fault.fault, fault.phase});
        found = faults.end() - 1;
      }
      AddFault(fault, *found);
    }
  }
  return faults;
}

bool Lasting(const FaultRecord& fault) {
  constexpr double kBlow = 0.05;  // a blow is over as soon as it was seen
  const double from = fault.applied_s.value_or(fault.asked_s);
  return fault.heal_asked_s.value_or(fault.healed_s.value_or(from)) - from > kBlow;
}

std::vector<VariantInfo> VariantsThatRan(const Report& report) {
  std::set<std::string> ran;
  for (const Trial& trial : report.run.trials) ran.insert(trial.variant);
  std::vector<VariantInfo> variants;
  for (const VariantInfo& variant : report.variants) {
    if (ran.erase(variant.name) > 0) variants.push_back(variant);
  }
  for (const std::string& name : ran) variants.push_back({name, "", "", false});
  return variants;
}

bool AnythingMeasured(const Report& report) {
  const std::vector<Measured>& values = report.run.verdict.values;
  return std::any_of(values.begin(), values.end(), [](const Measured& m) { return m.value.has_value(); });
}

const Measured* FindValue(const Report& report, const std::string& variant, const std::string& name) {
  for (const Measured& measured : report.run.verdict.values) {
    if (measured.variant == variant && measured.name == name) return &measured;
  }
  return nullptr;
}

std::string ValueText(const Report& report, const std::string& variant, const std::string& name) {
  const Measured* measured = FindValue(report, variant, name);
  return measured == nullptr ? "–" : FormatMeasured(*measured);
}

std::string TrialName(const Trial& trial) {
  if (trial.repeat <= 1 && !trial.again) return trial.variant;
  return absl::StrCat(trial.variant, " (", trial.repeat, trial.again ? ", again)" : ")");
}

std::string StateWord(State state) {
  switch (state) {
    case State::kPass:
      return "PASS";
    case State::kFail:
      return "FAIL";
    case State::kInconclusive:
      return "INCONCLUSIVE";
    case State::kNotAsked:
      return "NOT ASKED";
  }
  return "INCONCLUSIVE";
}

std::string StateGlyph(State state) {
  switch (state) {
    case State::kPass:
      return "✓";
    case State::kFail:
      return "✗";
    case State::kInconclusive:
      return "?";
    case State::kNotAsked:
      return "·";
  }
  return "?";
}

std::vector<std::string> DistinctReasons(const Run& run) {
  std::vector<std::string> reasons;
  std::set<std::string> told;
  for (const std::string& reason : run.verdict.reasons) {
    const size_t colon = reason.find(": ");  // "rule (variant): why"
    if (told.insert(colon == std::string::npos ? reason : reason.substr(colon + 2)).second) reasons.push_back(reason);
  }
  for (const Trial& trial : run.trials) {
    for (const std::string& problem : trial.problems) {
      const bool known =
          std::any_of(told.begin(), told.end(), [&](const std::string& t) { return absl::StrContains(t, problem); });
      if (!known && told.insert(problem).second) reasons.push_back(absl::StrCat(trial.variant, ": ", problem));
    }
  }
  const auto repeated = [](const Trial& trial) { return !trial.disturbed.empty(); };
  const auto again = std::find_if(run.trials.begin(), run.trials.end(), repeated);
  if (again != run.trials.end()) {
    reasons.push_back(absl::StrCat(std::count_if(again, run.trials.end(), repeated), " of ", run.trials.size(),
                                   " trials were run again, because the host disturbed them: ",
                                   again->disturbed.front(), " (", TrialName(*again), ")"));
  }
  const auto cautious = [](const Trial& trial) { return !trial.cautions.empty(); };
  const auto first = std::find_if(run.trials.begin(), run.trials.end(), cautious);
  if (first != run.trials.end()) {
    reasons.push_back(absl::StrCat("with caution in ", std::count_if(first, run.trials.end(), cautious), " of ",
                                   run.trials.size(), " trials: ", first->cautions.front(), " (", TrialName(*first),
                                   "); a bound that is missed there by less than a factor of ten is left open"));
  }
  return reasons;
}

std::vector<std::string> VersionsOf(const std::vector<Trial>& trials) {
  std::set<std::string> versions;
  for (const Trial& trial : trials) {
    for (const PartInfo& part : trial.parts) {
      if (!part.version.empty() && part.version != part.kind) versions.insert(part.version);
    }
  }
  return {versions.begin(), versions.end()};
}

std::string ConditionLine(const RunConditions& conditions) {
  std::vector<std::string> facts = {absl::StrCat("seed ", conditions.seed)};
  if (conditions.quick) facts.push_back("quick");
  if (const auto cores = conditions.host.find("cores"); cores != conditions.host.end()) {
    facts.push_back(absl::StrCat(cores->second, " cores"));
  }
  facts.insert(facts.end(), conditions.versions.begin(), conditions.versions.end());
  if (!conditions.revision.empty()) facts.push_back("build " + conditions.revision);
  if (!conditions.load.empty()) facts.push_back(conditions.load);
  for (const auto& [key, value] : conditions.changed) facts.push_back(absl::StrCat(key, "=", value));
  return absl::StrJoin(facts, " · ");
}

std::string ConditionLine(const Report& report) {
  const Run& run = report.run;
  return ConditionLine({run.seed, run.quick, run.host, run.changed, VersionsOf(run.trials), run.revision, report.load});
}

std::string CommandLine(const Report& report) { return CommandLine(report.run.command, report.run.seed); }

std::string MeasuredSide(const std::string& measured) {
  size_t cut = std::string::npos;
  for (const char* comparison : {" <= ", " >= ", " < ", " > ", " == ", " within ", " != "}) {
    cut = std::min(cut, measured.find(comparison));
  }
  return measured.substr(0, cut);
}

absl::Status WriteReports(const Report& report, const std::string& card_template, const std::string& card_file) {
  const std::string folder = report.run.folder + "/";
  absl::Status status = WriteFileAtomic(folder + "result.json", ResultJson(report));
  if (!status.ok()) return status;
  status = WriteFileAtomic(folder + "report.md", MarkdownReport(report));
  if (!status.ok()) return status;
  status = WriteFileAtomic(folder + "report.html", HtmlReport(report));
  if (!status.ok()) return status;
  const absl::StatusOr<std::string> card = CardOf(report, card_template, card_file);
  if (!card.ok()) return card.status();
  return WriteFileAtomic(folder + "card.md", *card);
}

}  // namespace lab::bench
