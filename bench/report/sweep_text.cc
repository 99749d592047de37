// A sweep on the terminal and as Markdown.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/sweep.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

constexpr int kMinWidth = 40;
constexpr int kMaxWidth = 140;

struct Layout {
  int label = 0;
  std::vector<int> columns;  // a point each
  int total() const {
    int sum = label + 3;
    for (const int column : columns) sum += column + 3;
    return sum;
  }
};

Layout LayoutOf(const Sweep& sweep, const std::vector<std::string>& rules) {
  Layout layout;
  for (const ValueInfo& value : sweep.values) layout.label = std::max(layout.label, DisplayWidth(value.label));
  for (const VariantInfo& variant : sweep.variants) layout.label = std::max(layout.label, DisplayWidth(variant.name));
  for (const std::string& rule : rules) layout.label = std::max(layout.label, DisplayWidth(rule));
  for (const SweepPoint& point : sweep.points) {
    int width = DisplayWidth(point.value);
    for (const auto& [name, estimate] : point.estimates) {
      width = std::max({width, DisplayWidth(MedianText(&estimate)), DisplayWidth(IntervalText(&estimate)),
                        DisplayWidth(BlocksText(&estimate))});
    }
    layout.columns.push_back(width);
  }
  return layout;
}

std::string Cells(const Layout& layout, const std::string& label, const std::vector<std::string>& cells) {
  std::string out = absl::StrCat("   ", PadRight(label, layout.label));
  for (size_t i = 0; i < cells.size(); ++i) absl::StrAppend(&out, "   ", PadLeft(cells[i], layout.columns[i]));
  return out;
}

std::string Head(const Sweep& sweep, const Layout& layout, const std::string& name) {
  std::vector<std::string> cells;
  for (const SweepPoint& point : sweep.points) cells.push_back(PrintableText(point.value));
  return Cells(layout, name, cells);
}

// A row for the medians and, where there is more than one block, one for the intervals; one for points that lack
// blocks.
std::string ValueRows(const Sweep& sweep, const Layout& layout, const std::string& variant, const ValueInfo& value,
                      const Ansi& ansi) {
  std::vector<std::string> medians, intervals, blocks;
  bool any = false, lacking = false;
  for (const SweepPoint& point : sweep.points) {
    const SweepEstimate* estimate = FindEstimate(point, variant, value.name);
    medians.push_back(MedianText(estimate));
    intervals.push_back(IntervalText(estimate));
    blocks.push_back(BlocksText(estimate));
    any = any || !intervals.back().empty();
    lacking = lacking || !blocks.back().empty();
  }
  std::string out = Cells(layout, PrintableText(value.label), medians) + "\n";
  if (any) absl::StrAppend(&out, ansi.Dim(Cells(layout, "", intervals)), "\n");
  if (lacking) absl::StrAppend(&out, ansi.Dim(Cells(layout, "", blocks)), "\n");
  return out;
}

std::string Table(const Sweep& sweep, const Layout& layout, const std::vector<std::string>& rules, const Ansi& ansi) {
  std::string out;
  for (const VariantInfo& variant : sweep.variants) {
    absl::StrAppend(&out, ansi.Bold(Head(sweep, layout, PrintableText(variant.name))), "\n");
    for (const ValueGroup& group : GroupsOf(sweep)) {
      if (!group.title.empty()) absl::StrAppend(&out, " ", ansi.Dim(group.title), "\n");
      for (const ValueInfo* value : group.values) out += ValueRows(sweep, layout, variant.name, *value, ansi);
    }
    out += "\n";
  }
  if (rules.empty()) return out;
  absl::StrAppend(&out, ansi.Bold(Head(sweep, layout, "expected by the lab")), "\n");
  for (const std::string& rule : rules) {
    out += absl::StrCat("   ", PadRight(PrintableText(rule), layout.label));
    for (size_t i = 0; i < sweep.points.size(); ++i) {
      const State state = StateAt(sweep.points[i], rule);
      absl::StrAppend(&out, "   ", std::string(static_cast<size_t>(std::max(0, layout.columns[i] - 1)), ' '),
                      ansi.ByState(state, StateGlyph(state)));
    }
    out += "\n";
  }
  return out + "\n";
}

// What stands beside a median: its interval, and how many blocks have a value where some have none.
std::vector<std::string> MoreOf(const SweepEstimate* estimate) {
  std::vector<std::string> more;
  for (std::string& text : std::vector{IntervalText(estimate), BlocksText(estimate)}) {
    if (!text.empty()) more.push_back(std::move(text));
  }
  return more;
}

// Where the columns do not fit, a block a point.
std::string NarrowTable(const Sweep& sweep, const std::vector<std::string>& rules, const Ansi& ansi) {
  std::string out;
  for (const SweepPoint& point : sweep.points) {
    for (const VariantInfo& variant : sweep.variants) {
      absl::StrAppend(&out, " ", ansi.Bold(PrintableText(absl::StrCat(variant.name, " at ", point.value))), "\n");
      for (const ValueInfo& value : sweep.values) {
        const SweepEstimate* estimate = FindEstimate(point, variant.name, value.name);
        const std::string more = absl::StrJoin(MoreOf(estimate), "; ");
        absl::StrAppend(&out, "   ", PrintableText(value.label), ": ", MedianText(estimate),
                        more.empty() ? "" : absl::StrCat(" (", more, ")"), "\n");
      }
    }
    for (const std::string& rule : rules) {
      const State state = StateAt(point, rule);
      absl::StrAppend(&out, "   ", ansi.ByState(state, StateGlyph(state)), " ", PrintableText(rule), "\n");
    }
  }
  return out + "\n";
}

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

std::string HeaderRow(const Sweep& sweep, const std::string& first) {
  std::vector<std::string> cells = {EscapeMarkdown(first)}, lines = {"---"};
  for (const SweepPoint& point : sweep.points) {
    cells.push_back(EscapeMarkdown(point.value));
    lines.push_back("---:");
  }
  return Row(cells) + Row(lines);
}

std::string MarkdownTables(const Sweep& sweep) {
  std::string out;
  for (const VariantInfo& variant : sweep.variants) {
    absl::StrAppend(&out, "\n## ", EscapeMarkdown(variant.name), "\n\n",
                    variant.note.empty() ? "" : absl::StrCat(EscapeMarkdown(variant.note), "\n\n"),
                    HeaderRow(sweep, sweep.knob.name()));
    for (const ValueInfo& value : sweep.values) {
      std::vector<std::string> row = {EscapeMarkdown(value.label)};
      for (const SweepPoint& point : sweep.points) {
        const SweepEstimate* estimate = FindEstimate(point, variant.name, value.name);
        row.push_back(EscapeMarkdown(MedianText(estimate)));
        for (const std::string& more : MoreOf(estimate)) absl::StrAppend(&row.back(), "<br>", EscapeMarkdown(more));
      }
      out += Row(row);
    }
  }
  const std::vector<std::string> rules = RulesAsked(sweep);
  if (rules.empty()) return out;
  absl::StrAppend(&out, "\n## What the lab expects\n\n", HeaderRow(sweep, "rule"));
  for (const std::string& rule : rules) {
    std::vector<std::string> row = {EscapeMarkdown(rule)};
    for (const SweepPoint& point : sweep.points) row.push_back(StateGlyph(StateAt(point, rule)));
    out += Row(row);
  }
  return out;
}

}  // namespace

std::string SweepSummary(const Sweep& sweep, const TerminalStyle& style, const std::string& page_path) {
  const int width = std::clamp(style.width, kMinWidth, kMaxWidth);
  const Ansi ansi(style.color);
  const std::vector<std::string> rules = RulesAsked(sweep);
  const Layout layout = LayoutOf(sweep, rules);
  std::string out = absl::StrCat(
      "\n", ansi.Bold(PrintableText(sweep.lab)), "   sweep of ", ansi.Bold(PrintableText(sweep.knob.name())), "\n",
      Wrap(absl::StrCat("  ", PrintableText(ConditionLine(sweep))), width, 2), "\n",
      layout.total() > width ? NarrowTable(sweep, rules, ansi) : Table(sweep, layout, rules, ansi),
      Wrap(absl::StrCat(" ", IntervalNote(sweep)), width, 1), "\n");
  const std::vector<std::string> lacking = Lacking(sweep);
  const State state = ExitStatus(sweep) == 0 ? State::kPass : State::kInconclusive;
  absl::StrAppend(&out, " ",
                  ansi.ByState(state, sweep.interrupted ? "INTERRUPTED"
                                      : lacking.empty() ? "COMPLETE"
                                                        : "INCOMPLETE"),
                  "  ", sweep.points.size(), " values x ", sweep.variants.size(),
                  sweep.variants.size() == 1 ? " variant x " : " variants x ", sweep.blocks,
                  sweep.blocks == 1 ? " block" : " blocks", "\n");
  constexpr size_t kMost = 12;
  for (size_t i = 0; i < lacking.size() && i < kMost; ++i) {
    out += Wrap(absl::StrCat("   ? ", PrintableText(lacking[i])), width, 5);
  }
  if (lacking.size() > kMost) absl::StrAppend(&out, "   and ", lacking.size() - kMost, " more, in sweep.md\n");
  return absl::StrCat(out, "   ", page_path, "\n");
}

std::string SweepMarkdown(const Sweep& sweep) {
  std::string out = absl::StrCat("# ", EscapeMarkdown(sweep.title.empty() ? sweep.lab : sweep.title), ": ",
                                 EscapeMarkdown(sweep.knob.name()), "\n\n", EscapeMarkdown(sweep.question), "\n\n",
                                 EscapeMarkdown(ConditionLine(sweep)), "\n\n", EscapeMarkdown(IntervalNote(sweep)),
                                 "\n", MarkdownTables(sweep));
  const std::vector<std::string> lacking = Lacking(sweep);
  if (!lacking.empty()) out += "\n## What lacks evidence\n\n";
  for (const std::string& line : lacking) absl::StrAppend(&out, "- ", EscapeMarkdown(line), "\n");
  absl::StrAppend(&out, "\n## Conditions\n\n- command: `", CommandLine(sweep.command, sweep.seed),
                  "`\n- started: ", EscapeMarkdown(sweep.started), ", took ", FormatQuantity(sweep.duration_s, "s"),
                  "\n- seed: ", sweep.seed, "\n- revision: ", EscapeMarkdown(sweep.revision), "\n");
  for (const auto& [key, value] : sweep.host) {
    absl::StrAppend(&out, "- host, ", EscapeMarkdown(key), ": ", EscapeMarkdown(value), "\n");
  }
  return out;
}

}  // namespace lab::bench
