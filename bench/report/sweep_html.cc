// A sweep as a page, in the look of the report.

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/chart.h"
#include "bench/report/html.h"
#include "bench/report/html_panel.h"
#include "bench/report/sweep.h"
#include "bench/report/text.h"
#include "bench/ui/page.h"

namespace lab::bench {
namespace {

constexpr double kLogFrom = 4;  // an axis whose ends differ by this factor is logarithmic

// Where the points of the sweep stand on the x axis of all its charts.
struct XAxis {
  std::vector<double> at;
  std::vector<std::pair<double, std::string>> ticks;
  double min = 0, max = 1;
  bool numbers = false, log = false;

  double Place(double value) const { return log ? std::log10(value) : value; }
};

XAxis AxisOf(const Sweep& sweep) {
  XAxis axis;
  axis.numbers =
      std::all_of(sweep.points.begin(), sweep.points.end(), [](const SweepPoint& p) { return p.x.has_value(); });
  if (axis.numbers && sweep.points.size() > 1 && *sweep.points.front().x > 0) {
    axis.log = *sweep.points.back().x / *sweep.points.front().x >= kLogFrom;
  }
  for (size_t i = 0; i < sweep.points.size(); ++i) {
    axis.at.push_back(axis.numbers ? axis.Place(*sweep.points[i].x) : static_cast<double>(i));
  }
  const double begin = axis.at.empty() ? 0 : axis.at.front(), end = axis.at.empty() ? 1 : axis.at.back();
  const double room = end > begin ? (end - begin) * 0.08 : 1;
  axis.min = begin - room;
  axis.max = end + room;
  // A label that would run into the one before it is left out; the table has them all.
  constexpr double kColumns = 60;
  double free_from = axis.min;
  for (size_t i = 0; i < axis.at.size(); ++i) {
    const double half = (DisplayWidth(sweep.points[i].value) + 1) / kColumns * (axis.max - axis.min) / 2;
    const bool fits = axis.at[i] - half >= free_from || i == 0;
    axis.ticks.emplace_back(axis.at[i], fits ? PrintableText(sweep.points[i].value) : "");
    if (fits) free_from = axis.at[i] + half;
  }
  return axis;
}

struct Range {
  double min = INFINITY, max = -INFINITY;
  void Add(const std::optional<double>& value) {
    if (!value || !std::isfinite(*value)) return;
    min = std::min(min, *value);
    max = std::max(max, *value);
  }
};

// A knob that is a time beside values that are times: where the value is the knob itself.
std::optional<ChartGuide> KnobItself(const Sweep& sweep, const std::string& unit, const XAxis& axis,
                                     const Chart& chart) {
  if (!axis.numbers || sweep.knob.type != "duration" || unit != "s") return std::nullopt;
  ChartGuide guide{{}, "= " + sweep.knob.key};
  constexpr int kSteps = 64;
  for (int i = 0; i <= kSteps; ++i) {
    const double place = axis.min + (axis.max - axis.min) * i / kSteps;
    const double value = axis.log ? std::pow(10, place) : place;
    if (value >= chart.y_min && value <= chart.y_max) guide.points.emplace_back(place, value);
  }
  if (guide.points.size() < 2) return std::nullopt;
  return guide;
}

std::string Describe(const Sweep& sweep, const ValueInfo& value) {
  std::vector<std::string> curves;
  for (const VariantInfo& variant : sweep.variants) {
    std::vector<std::string> places;
    for (const SweepPoint& point : sweep.points) {
      places.push_back(absl::StrCat(MedianText(FindEstimate(point, variant.name, value.name)), " at ", point.value));
    }
    curves.push_back(absl::StrCat(variant.name, ": ", absl::StrJoin(places, ", ")));
  }
  return absl::StrCat(value.label, " over ", sweep.knob.name(), ". ", absl::StrJoin(curves, "; "), ".");
}

// Of several blocks. A single one that is at least so large has nothing but the open end.
std::optional<ChartInterval> WhiskerOf(const SweepEstimate& estimate) {
  if (estimate.fit() < 2 && !estimate.high_at_least) return std::nullopt;
  return ChartInterval{*estimate.low, *estimate.high, estimate.high_at_least};
}

std::string Figure(const Sweep& sweep, const ValueInfo& value, const XAxis& axis) {
  Chart chart;
  chart.description = Describe(sweep, value);
  chart.x = axis.at;
  chart.x_min = axis.min;
  chart.x_max = axis.max;
  chart.x_ticks = axis.ticks;
  chart.x_title = absl::StrCat(sweep.knob.name(), axis.log ? " (logarithmic)" : "");
  Range range;
  std::string unit;
  for (size_t i = 0; i < sweep.variants.size(); ++i) {
    ChartLine line{sweep.variants[i].name, absl::StrCat("lane", i % 6), {}};
    line.joined = axis.numbers;
    line.shift = 7 * (static_cast<double>(i) - (static_cast<double>(sweep.variants.size()) - 1) / 2);
    for (const SweepPoint& point : sweep.points) {
      const SweepEstimate* estimate = FindEstimate(point, line.name, value.name);
      const bool known = estimate != nullptr && estimate->median;
      line.y.push_back(known ? estimate->median : std::nullopt);
      line.at_least.push_back(known && estimate->at_least);
      line.intervals.push_back(known ? WhiskerOf(*estimate) : std::nullopt);
      if (!known) continue;
      unit = estimate->unit.empty() ? unit : estimate->unit;
      range.Add(estimate->low);
      range.Add(estimate->high);
    }
    chart.lines.push_back(std::move(line));
  }
  if (!std::isfinite(range.min)) {
    return absl::StrCat("<figure><figcaption>", EscapeHtml(value.label),
                        "</figcaption><p class=\"hint\">No value at any point.</p></figure>\n");
  }
  chart.log_y = range.min > 0 && range.max / range.min >= kLogFrom;
  const bool zero = range.min == 0 && range.max == 0;
  chart.y_ticks = QuantityTicks(range.min, zero ? 1 : range.max, unit, chart.log_y);
  chart.y_min = chart.y_ticks.front().first;
  chart.y_max = chart.y_ticks.back().first;
  if (const auto guide = KnobItself(sweep, unit, axis, chart)) chart.guides.push_back(*guide);
  return absl::StrCat("<figure><figcaption>", EscapeHtml(value.label),
                      chart.log_y ? " <span class=\"muted\">(logarithmic)</span>" : "", "<code>",
                      EscapeHtml(value.expression), "</code></figcaption>\n", RenderSvg(chart), "</figure>\n");
}

// Whether some estimate, or the upper end of its interval, is only known to be at least so large.
bool AnythingOpen(const Sweep& sweep) {
  for (const SweepPoint& point : sweep.points) {
    for (const auto& [name, estimate] : point.estimates) {
      if (estimate.at_least || estimate.high_at_least) return true;
    }
  }
  return false;
}

std::string Legend(const Sweep& sweep) {
  std::string out = "<ul class=\"legend\">";
  for (size_t i = 0; i < sweep.variants.size(); ++i) {
    const std::string css = absl::StrCat("lane", i % 6);
    absl::StrAppend(&out, "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path class=\"line line-", css,
                    "\" d=\"M1 5H33\"/><circle class=\"dot dot-", css, "\" cx=\"17\" cy=\"5\" r=\"3.4\"/></svg>",
                    EscapeHtml(sweep.variants[i].name), "</li>");
  }
  if (AnythingOpen(sweep)) {
    absl::StrAppend(&out, "<li>", AtLeastSign(), "at least so large: the median (hollow), the interval (arrow)</li>");
  }
  return out + "</ul>\n";
}

std::string Charts(const Sweep& sweep) {
  const XAxis axis = AxisOf(sweep);
  std::string out = absl::StrCat("<section id=\"curves\"><h2>Curves</h2>\n<p class=\"hint\">",
                                 EscapeHtml(IntervalNote(sweep)), "</p>\n", Legend(sweep));
  bool first = true;
  for (const ValueGroup& group : GroupsOf(sweep)) {
    const bool still = group.moves == false;
    std::string lead, others;
    for (const ValueInfo* value : group.values) {
      absl::StrAppend(first ? &lead : &others, Figure(sweep, *value, axis));
      first = false;
    }
    if (!lead.empty()) absl::StrAppend(&out, "<div class=\"lead\"><div class=\"panels\">\n", lead, "</div></div>\n");
    if (others.empty()) continue;
    if (still) {
      absl::StrAppend(&out, "<details class=\"more\"><summary>What ", EscapeHtml(group.title), "</summary>");
    } else if (!group.title.empty()) {
      absl::StrAppend(&out, "<h3>What ", group.moves ? "" : "may move: it ", EscapeHtml(group.title), "</h3>");
    }
    absl::StrAppend(&out, "<div class=\"panels\">\n", others, "</div>", still ? "</details>" : "", "\n");
  }
  return out + "</section>\n";
}

std::string PointHeads(const Sweep& sweep) {
  std::string out;
  for (const SweepPoint& point : sweep.points)
    absl::StrAppend(&out, "<th scope=\"col\">", EscapeHtml(point.value), "</th>");
  return out;
}

std::string ValueTable(const Sweep& sweep, const VariantInfo& variant) {
  std::string out = absl::StrCat(
      "<h3>", EscapeHtml(variant.name), variant.broken ? " <span class=\"tag\">broken on purpose</span>" : "",
      "</h3>\n", variant.note.empty() ? "" : "<p class=\"hint\">" + EscapeHtml(variant.note) + "</p>",
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers variants sweep\"><thead><tr><th scope=\"col\">",
      EscapeHtml(sweep.knob.name()), "</th>", PointHeads(sweep), "</tr></thead>\n");
  for (const ValueGroup& group : GroupsOf(sweep)) {
    absl::StrAppend(&out, "<tbody class=\"group\">");
    if (!group.title.empty()) {
      absl::StrAppend(&out, "<tr><th scope=\"colgroup\" colspan=\"", sweep.points.size() + 1, "\">",
                      EscapeHtml(group.title), "</th></tr>");
    }
    for (const ValueInfo* value : group.values) {
      absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(value->label), "</th>");
      for (const SweepPoint& point : sweep.points) {
        const SweepEstimate* estimate = FindEstimate(point, variant.name, value->name);
        absl::StrAppend(&out, "<td>", EscapeHtml(MedianText(estimate)));
        for (const std::string& more : {IntervalText(estimate), BlocksText(estimate)}) {
          if (!more.empty()) absl::StrAppend(&out, "<span class=\"note\">", EscapeHtml(more), "</span>");
        }
        absl::StrAppend(&out, "</td>");
      }
      absl::StrAppend(&out, "</tr>\n");
    }
    absl::StrAppend(&out, "</tbody>\n");
  }
  return out + "</table></div>\n";
}

std::string RuleTable(const Sweep& sweep) {
  const std::vector<std::string> rules = RulesAsked(sweep);
  if (rules.empty()) return "";
  std::string out = absl::StrCat(
      "<section id=\"expectations\"><h2>What the lab expects</h2>\n<p class=\"hint\">At each value of the knob by "
      "itself. A lab is "
      "written for its own value; that a rule does not hold at another one is a finding, not a failure.</p>\n"
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr><th scope=\"col\">rule</th>",
      PointHeads(sweep), "</tr></thead><tbody>\n");
  for (const std::string& rule : rules) {
    std::string text;
    for (const SweepPoint& point : sweep.points) {
      for (const Finding& finding : point.findings) {
        if (finding.rule == rule && finding.text != rule) text = finding.text;
      }
    }
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(rule),
                    text.empty() ? "" : "<code>" + EscapeHtml(text) + "</code>", "</th>");
    for (const SweepPoint& point : sweep.points) {
      absl::StrAppend(&out, "<td>", StateMark(StateAt(point, rule)), "</td>");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Problems(const Sweep& sweep) {
  std::string items;
  for (const std::string& line : Lacking(sweep)) absl::StrAppend(&items, "<li>", EscapeHtml(line), "</li>");
  for (const SweepPoint& point : sweep.points) {
    for (const std::string& problem : point.problems) {
      absl::StrAppend(&items, "<li><b>", EscapeHtml(point.value), "</b> ", EscapeHtml(problem), "</li>");
    }
  }
  if (items.empty()) return "";
  return absl::StrCat("<section id=\"problems\"><h2>What lacks evidence</h2>\n<ul>", items, "</ul></section>\n");
}

std::string Conditions(const Sweep& sweep) {
  std::string list;
  const auto entry = [&list](const std::string& name, const std::string& html) {
    if (!html.empty()) absl::StrAppend(&list, "<dt>", EscapeHtml(name), "</dt><dd>", html, "</dd>\n");
  };
  entry("To reproduce", "<code class=\"command\">" + EscapeHtml(CommandLine(sweep.command, sweep.seed)) + "</code>");
  entry("Knob", EscapeHtml(sweep.knob.name()) + (sweep.knob.doc.empty() ? "" : ": " + EscapeHtml(sweep.knob.doc)));
  entry("Started", EscapeHtml(absl::StrCat(sweep.started, ", took ", FormatQuantity(sweep.duration_s, "s"))));
  entry("Seed",
        absl::StrCat(sweep.seed, " (", sweep.seed, " + block - 1; the points of a block see the same arrivals)"));
  entry("Revision", EscapeHtml(sweep.revision));
  entry("Load", EscapeHtml(sweep.load));
  entry("Parts", EscapeHtml(absl::StrJoin(sweep.versions, ", ")));
  for (const auto& [key, value] : sweep.host) entry("Host, " + key, EscapeHtml(value));
  for (const auto& [key, value] : sweep.changed) entry("Changed by --set", EscapeHtml(absl::StrCat(key, " = ", value)));
  return absl::StrCat("<section id=\"conditions\"><h2>Conditions</h2>\n<dl>\n", list, "</dl></section>\n");
}

std::string Header(const Sweep& sweep) {
  const std::string title = sweep.title.empty() ? sweep.lab : sweep.title;
  const size_t lacking = Lacking(sweep).size();
  const bool good = ExitStatus(sweep) == 0;
  return absl::StrCat(
      "\n<header>\n<p class=\"eyebrow\">", EscapeHtml(sweep.lab), " · sweep", sweep.quick ? " · quick" : "",
      "</p>\n<h1>", EscapeHtml(title), "</h1>\n<p class=\"question\">", EscapeHtml(sweep.question), " Over <code>",
      EscapeHtml(sweep.knob.name()), "</code>.</p>\n<div class=\"verdict ", good ? "pass" : "open",
      "\"><span class=\"glyph\" aria-hidden=\"true\">", good ? "✓" : "?", "</span><div><p class=\"word\">",
      sweep.interrupted ? "INTERRUPTED"
      : good            ? "COMPLETE"
                        : "INCOMPLETE",
      "</p><p>", sweep.points.size(), " values × ", sweep.variants.size(),
      sweep.variants.size() == 1 ? " variant × " : " variants × ", sweep.blocks,
      sweep.blocks == 1 ? " block" : " interleaved blocks",
      lacking == 0 ? "; each point has its evidence." : absl::StrCat("; evidence is lacking in ", lacking, " places."),
      "</p></div></div>\n<p class=\"conditions\">", EscapeHtml(ConditionLine(sweep)), "</p>\n</header>\n<main>\n");
}

}  // namespace

std::string SweepHtml(const Sweep& sweep) {
  std::string tables;
  for (const VariantInfo& variant : sweep.variants) tables += ValueTable(sweep, variant);
  const std::string body =
      absl::StrCat(Header(sweep), Charts(sweep), "<section id=\"table\"><h2>Table</h2>\n", tables, "</section>\n",
                   RuleTable(sweep), Problems(sweep), Conditions(sweep),
                   "</main>\n<footer><p>Every number on this page was measured on the host named above; "
                   "<a href=\"./sweep.json\">sweep.json</a> holds them with their blocks.</p></footer>\n");
  const std::string title = sweep.title.empty() ? sweep.lab : sweep.title;
  return ui::MakePage({absl::StrCat(title, " · ", sweep.knob.name()), body, "{\"trials\":[]}"});
}

}  // namespace lab::bench
