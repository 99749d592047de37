#include "bench/report/markdown.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/accounts.h"
#include "bench/report/capacity.h"
#include "bench/report/exploration.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

std::string TextHeader(const std::vector<std::string>& cells) {
  return Row(cells) + Row(std::vector<std::string>(cells.size(), "---"));
}

// The first column is text, the others are numbers.
std::string HeaderRow(const std::vector<std::string>& cells) {
  std::vector<std::string> rules(cells.size(), "---:");
  if (!rules.empty()) rules[0] = "---";
  return Row(cells) + Row(rules);
}

std::string Code(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  // A fence longer than any run of backticks inside (CommonMark, section 6.1).
  size_t longest = 0, run = 0;
  for (const char c : text) {
    run = c == '`' ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  const std::string fence(longest + 1, '`');
  return longest > 0 ? absl::StrCat(fence, " ", text, " ", fence) : fence + text + fence;
}

std::string CodeCell(std::string text) {
  std::string out;
  for (const char c : Code(std::move(text))) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

std::string Expectations(const Report& report) {
  std::string out = absl::StrCat("## Expectations\n\n", TextHeader({"rule", "held", "variant", "measured"}));
  for (const Rule& rule : RulesOf(report)) {
    for (const Finding* finding : rule.findings) {
      std::string measured = EscapeMarkdown(finding->measured);
      if (!finding->why.empty()) absl::StrAppend(&measured, measured.empty() ? "" : ", ", EscapeMarkdown(finding->why));
      for (const std::string& offender : finding->offenders)
        absl::StrAppend(&measured, "<br>", EscapeMarkdown(offender));
      const std::string text = rule.text == rule.name ? "" : absl::StrCat(" ", CodeCell(rule.text));
      out += Row({absl::StrCat(EscapeMarkdown(rule.name), text), StateGlyph(finding->state),
                  EscapeMarkdown(finding->variant) + (finding->control ? " (broken on purpose)" : ""), measured});
    }
  }
  for (const Catch& caught : report.run.verdict.catches) {
    absl::StrAppend(&out, "\n- ", StateGlyph(caught.state), " caught: ", EscapeMarkdown(caught.text));
  }
  if (const std::string noise = NoiseLine(report); !noise.empty()) {
    absl::StrAppend(&out, "\nNoise: ", EscapeMarkdown(noise), "\n");
  }
  return out + "\n";
}

std::string Variants(const Report& report) {
  const std::vector<VariantInfo> variants = VariantsThatRan(report);
  std::vector<std::string> header = {""};
  for (const VariantInfo& variant : variants) {
    header.push_back(EscapeMarkdown(variant.name) + (variant.broken ? " (broken on purpose)" : ""));
  }
  std::string out = absl::StrCat("\n## Variants\n\n", HeaderRow(header));
  for (const ValueInfo& value : report.values) {
    if (value.label.empty()) continue;
    std::vector<std::string> row = {EscapeMarkdown(value.label)};
    for (const VariantInfo& variant : variants) {
      row.push_back(EscapeMarkdown(ValueText(report, variant.name, value.name)));
    }
    out += Row(row);
  }
  out += "\n";
  for (const VariantInfo& variant : variants) {
    if (!variant.note.empty()) {
      absl::StrAppend(&out, "- **", EscapeMarkdown(variant.name), "**: ", EscapeMarkdown(variant.note), "\n");
    }
  }
  return out;
}

std::string Predictions(const Report& report) {
  std::string rows;
  for (const PredictionScore& score : report.run.verdict.predictions) {
    if (!score.predicted) continue;
    rows += Row({EscapeMarkdown(score.ask), EscapeMarkdown(FormatQuantity(*score.predicted, score.unit)),
                 score.measured ? EscapeMarkdown(FormatQuantity(*score.measured, score.unit)) : "–",
                 score.factor ? FormatQuantity(*score.factor, "x") : "–", EscapeMarkdown(score.band)});
  }
  if (rows.empty()) return "";
  return absl::StrCat("\n## Predictions\n\n", HeaderRow({"asked before the run", "said", "measured", "off by", "band"}),
                      rows);
}

std::string Phases(const Report& report) {
  std::string out =
      absl::StrCat("\n## Phases\n\n", HeaderRow({"variant, phase", "offered", "ok", "admitted", "failed", "unknown",
                                                 "dropped", "p50", "p99", "max", "service p99", "lag p99"}));
  std::set<std::string> shown;
  for (size_t i = 0; i < report.run.trials.size() && i < report.timelines.size(); ++i) {
    const Trial& trial = report.run.trials[i];
    if (!shown.insert(trial.variant).second) continue;
    for (const PhaseStats& phase : report.timelines[i].phases) {
      std::vector<std::string> row = {EscapeMarkdown(absl::StrCat(trial.variant, ", ", phase.phase))};
      for (const uint64_t count :
           {phase.offered, phase.ok, phase.admitted, phase.failed, phase.unknown, phase.dropped}) {
        row.push_back(WithCommas(count));
      }
      for (const double value : {phase.p50_s, phase.p99_s, phase.max_s, phase.service_p99_s, phase.lag_p99_s}) {
        row.push_back(phase.samples > 0 ? FormatQuantity(value, "s") : "–");
      }
      out += Row(row);
    }
  }
  return out;
}

std::string Faults(const Report& report) {
  const auto at = [](const std::optional<double>& time) { return time ? AtSeconds(*time) : std::string("–"); };
  std::string rows;
  for (const Trial& trial : report.run.trials) {
    for (const FaultRecord& fault : trial.faults) {
      rows += Row({EscapeMarkdown(fault.fault), EscapeMarkdown(TrialName(trial)), AtSeconds(fault.asked_s),
                   at(fault.applied_s), at(fault.seen_s), at(fault.heal_asked_s), at(fault.healed_s),
                   EscapeMarkdown(fault.evidence + (fault.error.empty() ? "" : absl::StrCat(" (", fault.error, ")")))});
    }
  }
  if (rows.empty()) return "";
  return "\n## Faults\n\nA fault counts only when a probe has seen its effect. Seconds since the start of the "
         "load.\n\n" +
         TextHeader({"fault", "variant", "asked", "applied", "seen", "heal asked", "healed", "evidence"}) + rows;
}

std::string Recoveries(const Report& report) {
  if (report.run.verdict.recoveries.empty()) return "";
  std::vector<std::string> header = {"fault, variant"};
  for (const AccountColumn& column : AccountColumns()) header.push_back(column.heading);
  std::string out = absl::StrCat(
      "\n## Recovery\n\nMedians over the repeats. Right again and drained count from the asking for the end.\n\n",
      HeaderRow(header));
  for (const RecoveryAccount& account : report.run.verdict.recoveries) {
    std::vector<std::string> row = {EscapeMarkdown(absl::StrCat(account.fault, ", ", account.variant))};
    for (const AccountColumn& column : AccountColumns())
      row.push_back(EscapeMarkdown(AccountText(account, column.name)));
    out += Row(row);
  }
  return out;
}

std::string Conditions(const Report& report) {
  const Run& run = report.run;
  std::string out = absl::StrCat(
      "\n## Conditions\n\n- command: ", Code(CommandLine(report)), "\n- started: ", EscapeMarkdown(run.started),
      ", took ", FormatQuantity(run.duration_s, "s"), "\n- seed: ", run.seed,
      "\n- revision: ", EscapeMarkdown(run.revision), "\n- load: ", EscapeMarkdown(report.load), "\n");
  for (const auto& [key, value] : run.host) {
    absl::StrAppend(&out, "- host, ", EscapeMarkdown(key), ": ", EscapeMarkdown(value), "\n");
  }
  std::set<std::string> parts;
  for (const Trial& trial : run.trials) {
    for (const PartInfo& part : trial.parts) {
      // Services of ours have no version but the revision.
      const std::string version = part.version == part.kind ? "built here" : part.version;
      parts.insert(absl::StrCat(part.name, " (", version, ")"));
    }
  }
  for (const std::string& part : parts) absl::StrAppend(&out, "- part: ", EscapeMarkdown(part), "\n");
  for (const auto& [key, value] : run.changed) {
    absl::StrAppend(&out, "- changed by --set: ", Code(absl::StrCat(key, "=", value)), "\n");
  }
  return out;
}

}  // namespace

std::string MarkdownReport(const Report& report) {
  const Run& run = report.run;
  std::string out = absl::StrCat("# ", EscapeMarkdown(run.title.empty() ? run.lab : run.title), "\n\n",
                                 EscapeMarkdown(report.question), "\n\n**", StateWord(run.verdict.state), "**");
  const std::vector<std::string> reasons = DistinctReasons(run);
  for (size_t i = 0; i < reasons.size(); ++i) {
    absl::StrAppend(&out, i == 0 ? ": " : "\n- ", EscapeMarkdown(reasons[i]), i == 0 ? "\n" : "");
  }
  absl::StrAppend(&out, "\n\n", EscapeMarkdown(ConditionLine(report)), "\n\n", Expectations(report));
  std::string problems;
  for (const Trial& trial : run.trials) {
    for (const std::string& problem : trial.problems) {
      absl::StrAppend(&problems, "- ", EscapeMarkdown(trial.variant), ": ", EscapeMarkdown(problem), "\n");
    }
  }
  if (!problems.empty()) absl::StrAppend(&out, "\n## Why not to trust this\n\n", problems);
  return absl::StrCat(out, Variants(report), ExplorationMarkdown(report), Predictions(report), Phases(report),
                      Faults(report), Recoveries(report), CapacityMarkdown(report), Conditions(report));
}

}  // namespace lab::bench
