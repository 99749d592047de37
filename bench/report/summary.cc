#include "bench/report/summary.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/accounts.h"
#include "bench/report/capacity.h"
#include "bench/report/exploration.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

constexpr int kMinWidth = 40;
constexpr int kMaxWidth = 140;
constexpr int kMaxLabel = 40;  // of a row of the table of variants

std::string Header(const Report& report, int width, const Ansi& ansi) {
  const std::string name = PrintableText(report.run.lab);
  const std::string text = Wrap(absl::StrCat(name, "   ", PrintableText(ConditionLine(report))), width, 2);
  return ansi.Bold(name) + text.substr(name.size());
}

std::string FaultLines(const Report& report, int width, const Ansi& ansi) {
  const std::vector<FaultSummary> faults = SummarizeFaults(report);
  // The number tells two faults of one kind apart; elsewhere it is noise.
  std::map<std::string, int> times;
  for (const FaultSummary& fault : faults) ++times[fault.fault];
  const auto name_of = [&](const FaultSummary& fault) { return times[fault.fault] > 1 ? fault.id : fault.fault; };
  int name_width = 0;
  for (const FaultSummary& fault : faults) name_width = std::max(name_width, DisplayWidth(name_of(fault)));
  std::string out;
  for (const FaultSummary& fault : faults) {
    std::string text = absl::StrCat("    ", PadRight(PrintableText(name_of(fault)), name_width), "  ");
    if (fault.seen == 0) {
      absl::StrAppend(&text, "not seen by a probe",
                      fault.error.empty() ? "" : absl::StrCat(": ", PrintableText(fault.error)));
    } else {
      if (fault.trials == 1) {
        absl::StrAppend(&text, "seen by a probe after ");
      } else {
        absl::StrAppend(&text, "seen by a probe in ", fault.seen, " of ", fault.trials, " trials, after at most ");
      }
      absl::StrAppend(&text, FormatQuantity(*fault.slowest_seen_s, "s"));
      if (fault.slowest_healed_s && fault.lasting) {
        absl::StrAppend(&text, "; well again after ", FormatQuantity(*fault.slowest_healed_s, "s"));
      }
    }
    text = Wrap(text, width, 6 + name_width);
    const State state = fault.complete() && fault.error.empty() ? State::kPass : State::kInconclusive;
    absl::StrAppend(&out, "  ", ansi.ByState(state, StateGlyph(state)), text.substr(3));
  }
  return out;
}

struct Table {
  std::vector<VariantInfo> variants;
  std::vector<const ValueInfo*> rows;
  int label_width = 0;
  std::vector<int> column_widths;
};

Table TableOf(const Report& report) {
  Table table;
  table.variants = VariantsThatRan(report);
  for (const ValueInfo& value : report.values) {
    if (!value.label.empty()) table.rows.push_back(&value);
  }
  for (const ValueInfo* row : table.rows) table.label_width = std::max(table.label_width, DisplayWidth(row->label));
  table.label_width = std::min(table.label_width, kMaxLabel);
  for (const VariantInfo& variant : table.variants) {
    int width = std::max(DisplayWidth(variant.name), variant.broken ? 8 : 0);
    for (const ValueInfo* row : table.rows) {
      width = std::max(width, DisplayWidth(ValueText(report, variant.name, row->name)));
    }
    table.column_widths.push_back(width);
  }
  return table;
}

// Where the columns do not fit, a block a variant.
std::string NarrowTable(const Report& report, const Table& table, int width, const Ansi& ansi) {
  std::string out;
  for (const VariantInfo& variant : table.variants) {
    absl::StrAppend(&out, " ", ansi.Bold(PrintableText(variant.name)), variant.broken ? " (broken)" : "", "\n");
    for (const ValueInfo* row : table.rows) {
      const std::string value = ValueText(report, variant.name, row->name);
      const int room = std::max(8, width - 6 - DisplayWidth(value));
      absl::StrAppend(&out, "   ",
                      PadRight(Truncate(PrintableText(row->label), room), std::min(table.label_width, room)), "  ",
                      value, "\n");
    }
  }
  return out;
}

std::string VariantTable(const Report& report, int width, const Ansi& ansi) {
  const Table table = TableOf(report);
  if (table.rows.empty() || table.variants.empty() || !AnythingMeasured(report)) return "";
  int needed = 1 + table.label_width;
  for (const int column : table.column_widths) needed += 3 + column;
  if (needed > width) return NarrowTable(report, table, width, ansi);
  std::string names(1 + table.label_width, ' '), tags = names;
  bool any_broken = false;
  for (size_t i = 0; i < table.variants.size(); ++i) {
    const VariantInfo& variant = table.variants[i];
    any_broken = any_broken || variant.broken;
    absl::StrAppend(&names, "   ", PadLeft(PrintableText(variant.name), table.column_widths[i]));
    absl::StrAppend(&tags, "   ", PadLeft(variant.broken ? "(broken)" : "", table.column_widths[i]));
  }
  std::string out = ansi.Bold(names) + "\n";
  if (any_broken) absl::StrAppend(&out, ansi.Dim(tags.substr(0, tags.find_last_not_of(' ') + 1)), "\n");
  for (const ValueInfo* row : table.rows) {
    // A long label goes over several lines; the values stand on its last.
    std::string label = absl::StrCat(" ", Wrap(PrintableText(row->label), table.label_width, 1));
    label.pop_back();
    const size_t last = label.rfind('\n') + 1;  // 0 when there is one line
    absl::StrAppend(&out, label.substr(0, last), PadRight(label.substr(last), 1 + table.label_width));
    for (size_t i = 0; i < table.variants.size(); ++i) {
      const std::string value = ValueText(report, table.variants[i].name, row->name);
      absl::StrAppend(&out, "   ", PadLeft(value, table.column_widths[i]));
    }
    absl::StrAppend(&out, "\n");
  }
  return out;
}

// "6.1 ms, 5.9 ms", or one where all are equal: for a broken rule the variants that break it, named; else all of them.
std::string MeasuredText(const Rule& rule) {
  std::vector<std::string> texts;
  for (const Finding* finding : rule.findings) {
    if (finding->control || (rule.state != State::kPass && finding->state != rule.state)) continue;
    std::string text = rule.state == State::kPass ? MeasuredSide(finding->measured) : finding->measured;
    if (!finding->why.empty()) absl::StrAppend(&text, text.empty() ? "" : ", ", finding->why);
    if (rule.state != State::kPass && !finding->variant.empty()) text = absl::StrCat(finding->variant, ": ", text);
    if (!finding->offenders.empty()) absl::StrAppend(&text, ", first: ", finding->offenders.front());
    text = PrintableText(text);
    if (!text.empty()) texts.push_back(text);
  }
  if (std::adjacent_find(texts.begin(), texts.end(), std::not_equal_to<>()) == texts.end())
    texts.resize(!texts.empty());
  return absl::StrJoin(texts, rule.state == State::kPass ? ", " : "; ");
}

// An invariant has no other text than its name.
std::string RuleText(const Rule& rule) { return rule.text == rule.name ? "" : PrintableText(rule.text); }

// One rule: name, text and measurement side by side, or the measurement below where it does not fit.
std::string RuleLine(const std::vector<std::string>& columns, const std::vector<int>& widths, int width) {
  constexpr int kIndent = 3;
  std::string line = std::string(kIndent, ' ');
  for (size_t i = 0; i + 1 < columns.size(); ++i) absl::StrAppend(&line, PadRight(columns[i], widths[i]), "  ");
  const std::string& measured = columns.back();
  if (DisplayWidth(line) + DisplayWidth(measured) <= width) return absl::StrCat(line, measured, "\n");
  const int indent = kIndent + 2 + widths[0];
  line.erase(line.find_last_not_of(' ') + 1);
  return absl::StrCat(Wrap(line, width, indent), Wrap(std::string(indent, ' ') + measured, width, indent));
}

// Whether no rule has evidence: then the reason, which the verdict gives, is the same for all that were asked.
bool NoneAnswered(const std::vector<Rule>& rules) {
  return std::none_of(rules.begin(), rules.end(),
                      [](const Rule& rule) { return rule.state == State::kPass || rule.state == State::kFail; });
}

std::string RuleLines(const Report& report, int width, const Ansi& ansi) {
  const std::vector<Rule> rules = RulesOf(report);
  if (rules.size() > 1 && NoneAnswered(rules)) {
    return absl::StrCat(" ", ansi.ByState(State::kInconclusive, StateGlyph(State::kInconclusive)), " none of the ",
                        rules.size(), " rules has evidence\n");
  }
  int name_width = 0, text_width = 0;
  for (const Rule& rule : rules) {
    name_width = std::max(name_width, DisplayWidth(rule.name));
    text_width = std::max(text_width, DisplayWidth(RuleText(rule)));
  }
  text_width = std::min(text_width, width / 2);
  std::string out;
  std::string previous;
  for (const Rule& rule : rules) {
    std::string measured = MeasuredText(rule);
    // What makes one rule inconclusive often makes the next one so.
    const bool as_above = rule.state == State::kInconclusive && measured == previous;
    previous = measured;
    if (as_above) measured = "as above";
    const std::string line =
        RuleLine({PrintableText(rule.name), RuleText(rule), measured}, {name_width, text_width}, width);
    absl::StrAppend(&out, " ", ansi.ByState(rule.state, StateGlyph(rule.state)), line.substr(2));
  }
  for (const Catch& caught : report.run.verdict.catches) {
    const char* const word = caught.state == State::kPass   ? "caught"
                             : caught.state == State::kFail ? "not caught"
                                                            : "caught?";
    const std::string line = RuleLine({word, PrintableText(caught.text)}, {name_width}, width);
    absl::StrAppend(&out, " ", ansi.ByState(caught.state, StateGlyph(caught.state)), line.substr(2));
  }
  return out;
}

std::string NoiseLines(const Report& report, int width) {
  const std::string noise = NoiseLine(report);
  return noise.empty() ? "" : Wrap(absl::StrCat(" noise: ", PrintableText(noise)), width, 3);
}

std::string PredictionLines(const Report& report, int width) {
  std::string out;
  for (const PredictionScore& score : report.run.verdict.predictions) {
    if (!score.predicted) continue;
    std::string text = absl::StrCat(" you said ", FormatQuantity(*score.predicted, score.unit), " for \"",
                                    PrintableText(score.ask), "\": ");
    if (!score.measured) {
      absl::StrAppend(&text, "not measured");
    } else {
      absl::StrAppend(&text, "measured ", FormatQuantity(*score.measured, score.unit));
      if (score.factor) {
        absl::StrAppend(&text, *score.factor <= 2 ? ", within a factor of two" : "",
                        *score.factor > 2 ? absl::StrCat(", ", ShortNumber(*score.factor), " times off") : "");
      } else if (!score.band.empty()) {
        absl::StrAppend(&text, ", ", score.band);
      }
    }
    out += Wrap(text, width, 3);
  }
  return out;
}

std::string VerdictLines(const Report& report, int width, const Ansi& ansi, const std::string& path) {
  const Verdict& verdict = report.run.verdict;
  std::string out;
  const std::string word = StateWord(verdict.state);
  const std::vector<std::string> reasons = DistinctReasons(report.run);
  for (size_t i = 0; i < reasons.size(); ++i) {
    const std::string line = absl::StrCat(i == 0 ? absl::StrCat(" ", word, "  ") : "   ", PrintableText(reasons[i]));
    const std::string wrapped = Wrap(line, width, 3);
    if (i == 0) {
      absl::StrAppend(&out, " ", ansi.ByState(verdict.state, word), wrapped.substr(1 + word.size()));
    } else {
      out += wrapped;
    }
  }
  if (reasons.empty()) absl::StrAppend(&out, " ", ansi.ByState(verdict.state, word), "\n");
  return absl::StrCat(out, "   ", path, AnythingMeasured(report) ? "   ./lab card" : "", "\n");
}

// What is broken in a phase: something for a time, something at one moment, or nothing.
enum class Broken { kNo, kAtOnce, kForATime };

Broken BrokenIn(const Phase& phase, const std::vector<FaultRecord>& faults) {
  Broken broken = Broken::kNo;
  for (const FaultRecord& fault : faults) {
    if (fault.phase != phase.name) continue;
    if (Lasting(fault)) return Broken::kForATime;
    broken = Broken::kAtOnce;
  }
  return broken;
}

// Columns for each phase: its name at least, the rest by its length.
std::vector<int> PhaseWidths(const std::vector<Phase>& phases, int width) {
  std::vector<int> widths;
  int taken = 0;
  for (const Phase& phase : phases) {
    widths.push_back(DisplayWidth(phase.name) + 2);
    taken += widths.back() + 1;
  }
  const double total = std::max(1e-9, phases.back().end_s - phases.front().begin_s);
  const int spare = std::max(0, width - taken);
  for (size_t i = 0; i < phases.size(); ++i) {
    widths[i] += static_cast<int>(std::floor(spare * (phases[i].end_s - phases[i].begin_s) / total));
  }
  return widths;
}

std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

}  // namespace

Ansi::Ansi(bool with_color) : color(with_color) {}
std::string Ansi::Bold(const std::string& text) const {
  return color ? absl::StrCat("\x1b[1m", text, "\x1b[0m") : text;
}
std::string Ansi::Dim(const std::string& text) const { return color ? absl::StrCat("\x1b[2m", text, "\x1b[0m") : text; }
std::string Ansi::Fault(const std::string& text) const {
  return color ? absl::StrCat("\x1b[33m", text, "\x1b[0m") : text;
}
std::string Ansi::ByState(State state, const std::string& text) const {
  if (!color) return text;
  static const char* const kCodes[] = {"\x1b[1;32m", "\x1b[1;31m", "\x1b[1;33m", "\x1b[2m"};
  return absl::StrCat(kCodes[static_cast<int>(state)], text, "\x1b[0m");
}

std::string TimelineBar(const std::vector<Phase>& phases, const std::vector<FaultRecord>& faults, int width,
                        const Ansi& ansi, double now_s) {
  if (phases.empty()) return "";
  const std::string end = FormatQuantity(phases.back().end_s, "s");
  const std::vector<int> widths = PhaseWidths(phases, width - 5 - DisplayWidth(end));
  int total = 5 + DisplayWidth(end);
  for (const int one : widths) total += one + 1;
  const bool names = total <= width;
  std::string out = " 0s ";
  for (size_t i = 0; i < phases.size(); ++i) {
    const Broken broken = BrokenIn(phases[i], faults);
    const bool fault = broken == Broken::kForATime;
    const std::string ink = fault ? "▓" : "─";
    std::string name = phases[i].name;
    std::replace(name.begin(), name.end(), '_', ' ');
    int room = widths[i];
    if (!names) {  // too narrow for names: a few cells a phase
      room = std::max(1, (width - 6 - DisplayWidth(end)) / static_cast<int>(phases.size()) - 1);
      name.clear();
    }
    std::string label = fault && !name.empty() ? absl::StrCat(" ", name, " ") : name;
    if (broken == Broken::kAtOnce) label = absl::StrCat("▼", label);
    const int ink_width = std::max(0, room - DisplayWidth(label));
    std::string cell = Repeat(ink, ink_width / 2) + label + Repeat(ink, ink_width - ink_width / 2);
    if (broken != Broken::kNo) cell = ansi.Fault(cell);
    if (now_s >= 0 && now_s < phases[i].begin_s) cell = ansi.Dim(cell);
    if (now_s >= phases[i].begin_s && now_s < phases[i].end_s) cell = ansi.Bold(cell);
    absl::StrAppend(&out, cell, "┤");
  }
  return absl::StrCat(out, " ", end);
}

std::string Summary(const Report& report, const TerminalStyle& style, const std::string& report_path) {
  const int width = std::clamp(style.width, kMinWidth, kMaxWidth);
  const Ansi ansi(style.color);
  std::string out = absl::StrCat("\n", Header(report, width, ansi));
  for (const Trial& trial : report.run.trials) {
    if (trial.phases.empty()) continue;
    absl::StrAppend(&out, TimelineBar(trial.phases, trial.faults, width, ansi), "\n");
    break;
  }
  const auto section = [&](const std::string& text) {
    if (!text.empty()) absl::StrAppend(&out, "\n", text);
  };
  out += FaultLines(report, width, ansi);
  section(VariantTable(report, width, ansi));
  section(RecoveryTable(report, width, ansi));
  section(ExplorationLines(report, width, ansi));
  section(RuleLines(report, width, ansi));
  section(NoiseLines(report, width));
  section(CapacityLines(report, width, ansi));
  section(PredictionLines(report, width));
  section(VerdictLines(report, width, ansi, report_path));
  return out;
}

}  // namespace lab::bench
