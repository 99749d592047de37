#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/chart.h"
#include "bench/report/html.h"
#include "bench/report/html_panel.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

// What all panels share, so that they compare at a glance.
struct Scales {
  double end_s = 1;
  double latency_min_s = 1, latency_max_s = 0;
  double rate_max = 1;
  bool answers = false;  // the system admits or limits
};

Scales ScalesOf(const std::vector<Panel>& panels) {
  Scales scales;
  for (const Panel& panel : panels) {
    const Timeline& timeline = *panel.timeline;
    scales.end_s = std::max(scales.end_s, static_cast<double>(timeline.buckets.size()) * timeline.step_s);
    for (const Bucket& bucket : timeline.buckets) {
      if (bucket.samples > 0) {
        scales.latency_min_s = std::min(scales.latency_min_s, std::max(bucket.p50_s, 1e-6));
        scales.latency_max_s = std::max(scales.latency_max_s, bucket.max_s);
      }
      // The offered rate sets the scale: a queue that drains at once would flatten everything else.
      scales.rate_max = std::max(scales.rate_max, static_cast<double>(bucket.offered) / timeline.step_s * 1.3);
      scales.answers = scales.answers || bucket.admitted + bucket.limited > 0;
    }
  }
  return scales;
}

std::string PanelTitle(const Panel& panel, bool with_repeat) {
  std::string title = EscapeHtml(panel.trial->variant);
  if (panel.variant != nullptr && panel.variant->broken)
    absl::StrAppend(&title, " <span class=\"tag\">broken on purpose</span>");
  if (with_repeat) absl::StrAppend(&title, " <span class=\"muted\">repeat ", panel.trial->repeat, "</span>");
  if (panel.variant != nullptr && !panel.variant->note.empty()) {
    absl::StrAppend(&title, "<span class=\"note\">", EscapeHtml(panel.variant->note), "</span>");
  }
  return title;
}

// Phases, faults and the time axis of a panel.
Chart TimeChart(const Panel& panel, const Scales& scales) {
  Chart chart;
  chart.x_min = 0;
  chart.x_max = scales.end_s;
  chart.x_ticks = SecondTicks(scales.end_s);
  const double step = panel.timeline->step_s;
  for (size_t i = 0; i < panel.timeline->buckets.size(); ++i) chart.x.push_back((static_cast<double>(i) + 0.5) * step);
  for (const Phase& phase : panel.trial->phases) {
    std::string name = phase.name;
    std::replace(name.begin(), name.end(), '_', ' ');
    chart.phases.push_back({phase.begin_s, phase.end_s, name});
  }
  for (const FaultRecord& fault : panel.trial->faults) {
    if (!fault.applied_s) continue;
    ChartBand band{*fault.applied_s, std::nullopt, fault.fault};
    if (Lasting(fault)) band.end = fault.healed_s.value_or(scales.end_s);
    if (!fault.seen_s) band.label += " (not seen)";
    chart.bands.push_back(band);
  }
  return chart;
}

const PhaseStats* WorstPhase(const Timeline& timeline) {
  const PhaseStats* worst = nullptr;
  for (const PhaseStats& phase : timeline.phases) {
    if (phase.samples > 0 && (worst == nullptr || phase.p99_s > worst->p99_s)) worst = &phase;
  }
  return worst;
}

std::string LatencyChart(const Panel& panel, const Scales& scales, const std::vector<LatencyBound>& bounds) {
  Chart chart = TimeChart(panel, scales);
  chart.log_y = true;
  chart.y_ticks = LatencyTicks(scales.latency_min_s, scales.latency_max_s);
  chart.y_min = chart.y_ticks.front().first;
  chart.y_max = chart.y_ticks.back().first;
  ChartLine p50{"p50", "p50", {}}, p99{"p99", "p99", {}}, max{"max", "max", {}};
  for (const Bucket& bucket : panel.timeline->buckets) {
    const auto point = [&](double value) { return bucket.samples > 0 ? std::optional<double>(value) : std::nullopt; };
    p50.y.push_back(point(bucket.p50_s));
    p99.y.push_back(point(bucket.p99_s));
    max.y.push_back(point(bucket.max_s));
  }
  chart.lines = {max, p50, p99};
  for (const LatencyBound& bound : bounds) {
    if (!bound.variant.empty() && bound.variant != panel.trial->variant) continue;
    chart.levels.push_back({bound.seconds, "limit " + FormatQuantity(bound.seconds, "s")});
  }
  chart.description = absl::StrCat("Latency over time of ", panel.trial->variant, ".");
  if (const PhaseStats* worst = WorstPhase(*panel.timeline)) {
    absl::StrAppend(&chart.description, " The p99 is highest in the phase ", worst->phase, ": ",
                    FormatQuantity(worst->p99_s, "s"), ", with a maximum of ", FormatQuantity(worst->max_s, "s"), ".");
  }
  return RenderSvg(chart);
}

// Whether the load ends inside this step: a rate over all of it would be too low.
bool EndsInside(const Panel& panel, size_t step) {
  const double begin = static_cast<double>(step) * panel.timeline->step_s;
  const double end = panel.trial->phases.empty() ? 0 : panel.trial->phases.back().end_s;
  return begin < end - 1e-6 && begin + panel.timeline->step_s > end + 1e-6;
}

std::string RateChart(const Panel& panel, const Scales& scales) {
  Chart chart = TimeChart(panel, scales);
  chart.y_ticks = NumberTicks(scales.rate_max);
  chart.y_max = scales.rate_max;
  chart.clipped_unit = "/s";
  const double per_s = 1 / panel.timeline->step_s;
  const auto line = [&](const char* name, const std::function<uint64_t(const Bucket&)>& count, bool if_any) {
    ChartLine result{name, name, {}};
    bool any = false;
    for (size_t i = 0; i < panel.timeline->buckets.size(); ++i) {
      const uint64_t counted = count(panel.timeline->buckets[i]);
      any = any || counted > 0;
      result.y.push_back(EndsInside(panel, i) ? std::nullopt : std::optional(static_cast<double>(counted) * per_s));
    }
    if (any || !if_any) chart.lines.push_back(std::move(result));
  };
  line(
      "offered", [](const Bucket& b) { return b.offered; }, false);
  line(
      "answered", [](const Bucket& b) { return b.ok; }, false);
  if (scales.answers)
    line(
        "admitted", [](const Bucket& b) { return b.admitted; }, false);
  line(
      "failed", [](const Bucket& b) { return b.failed + b.unknown + b.dropped; }, true);
  uint64_t offered = 0, ok = 0, admitted = 0, failed = 0;
  for (const Bucket& bucket : panel.timeline->buckets) {
    offered += bucket.offered;
    ok += bucket.ok;
    admitted += bucket.admitted;
    failed += bucket.failed + bucket.unknown + bucket.dropped;
  }
  chart.description = absl::StrCat("Rates over time of ", panel.trial->variant, ": of ", WithCommas(offered),
                                   " offered, ", WithCommas(ok), " answered",
                                   scales.answers ? absl::StrCat(", ", WithCommas(admitted), " admitted") : "", ", ",
                                   WithCommas(failed), " failed, unknown or dropped.");
  return RenderSvg(chart);
}

std::string LaneChart(const Panel& panel, const Scales& scales) {
  Chart chart = TimeChart(panel, scales);
  const double per_s = 1 / panel.timeline->step_s;
  double max = 1;
  for (size_t i = 0; i < panel.timeline->streams.size(); ++i) {
    const StreamTimeline& stream = panel.timeline->streams[i];
    ChartLine line{stream.name, absl::StrCat("lane", i % 6), {}};
    for (size_t step = 0; step < stream.admitted.size(); ++step) {
      const double rate = static_cast<double>(stream.admitted[step]) * per_s;
      line.y.push_back(EndsInside(panel, step) ? std::nullopt : std::optional(rate));
      max = std::max(max, line.y.back().value_or(0));
    }
    chart.lines.push_back(std::move(line));
  }
  chart.y_max = max * 1.05;
  chart.y_ticks = NumberTicks(chart.y_max);
  chart.description =
      absl::StrCat("Admitted per second in each of ", chart.lines.size(), " lanes of ", panel.trial->variant, ".");
  return RenderSvg(chart);
}

std::string Legend(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "<ul class=\"legend\">";
  for (const auto& [css, name] : entries) {
    absl::StrAppend(&out, "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path class=\"line line-", css,
                    "\" d=\"M1 5H33\"/></svg>", EscapeHtml(name), "</li>");
  }
  return out + "</ul>\n";
}

using Draw = std::function<std::string(const Panel&)>;

// One figure a panel, the first repeat of each variant in sight, the others folded.
std::string Figures(const std::vector<Panel>& panels, const Draw& draw, const Draw& table, const char* summary) {
  const auto figure = [&](const Panel& panel, bool with_repeat) {
    return absl::StrCat("<figure><figcaption>", PanelTitle(panel, with_repeat), "</figcaption>\n", draw(panel),
                        "<details><summary>", summary, "</summary>", table(panel), "</details></figure>\n");
  };
  std::string first, others;
  std::set<std::string> shown;
  for (const Panel& panel : panels) {
    if (panel.timeline->buckets.empty()) continue;
    if (shown.insert(panel.trial->variant).second) {
      absl::StrAppend(&first, figure(panel, false));
    } else {
      absl::StrAppend(&others, figure(panel, true));
    }
  }
  std::string out = absl::StrCat("<div class=\"panels\">\n", first, "</div>\n");
  if (!others.empty()) {
    absl::StrAppend(&out, "<details class=\"more\"><summary>Further repeats</summary><div class=\"panels\">\n", others,
                    "</div></details>\n");
  }
  return out;
}

// Phases worth a spectrum: where a fault begins, else the last one; at most two.
std::vector<std::string> SpectrumPhases(const std::vector<Panel>& panels) {
  std::vector<std::string> phases;
  for (const Panel& panel : panels) {
    for (const FaultRecord& fault : panel.trial->faults) {
      if (Lasting(fault) && std::find(phases.begin(), phases.end(), fault.phase) == phases.end()) {
        phases.push_back(fault.phase);
      }
    }
  }
  if (phases.empty() && !panels.empty() && !panels[0].trial->phases.empty()) {
    phases.push_back(panels[0].trial->phases.back().name);
  }
  if (phases.size() > 2) phases.resize(2);
  return phases;
}

std::string SpectrumFigure(const std::vector<const Panel*>& panels, const std::string& phase) {
  // The axis is 1/(1-q), logarithmic: each nine takes as much room as the one before it.
  const auto place = [](double quantile) { return -std::log10(1 - quantile); };
  Chart chart;
  chart.log_y = true;
  chart.x_min = place(0.5);
  chart.x_max = place(kSpectrum[std::size(kSpectrum) - 1]);
  for (const double quantile : {0.5, 0.9, 0.99, 0.999, 0.9999}) {
    chart.x_ticks.emplace_back(place(quantile), QuantileName(quantile));
  }
  for (const double quantile : kSpectrum) chart.x.push_back(place(quantile));
  double low = 1, high = 0;
  std::vector<std::string> worst;
  for (size_t i = 0; i < panels.size(); ++i) {
    const PhaseStats* stats = FindPhase(*panels[i]->timeline, phase);
    if (stats == nullptr || stats->spectrum_s.empty()) continue;
    ChartLine line{panels[i]->trial->variant, absl::StrCat("lane", i % 6), {}};
    for (const double value : stats->spectrum_s) line.y.push_back(value);
    low = std::min(low, std::max(1e-6, stats->spectrum_s.front()));
    high = std::max(high, stats->spectrum_s.back());
    worst.push_back(absl::StrCat(line.name, " ", FormatQuantity(stats->p99_s, "s")));
    chart.lines.push_back(std::move(line));
  }
  if (chart.lines.empty()) return "";
  chart.y_ticks = LatencyTicks(low, high);
  chart.y_min = chart.y_ticks.front().first;
  chart.y_max = chart.y_ticks.back().first;
  chart.description =
      absl::StrCat("Latency by percentile in the phase ", phase, ". p99: ", absl::StrJoin(worst, ", "), ".");
  return absl::StrCat("<figure><figcaption>in the phase ", EscapeHtml(phase), "</figcaption>\n", RenderSvg(chart),
                      "<details><summary>Table</summary>", SpectrumTable(panels, phase), "</details></figure>\n");
}

std::string Spectra(const std::vector<Panel>& panels) {
  std::vector<const Panel*> first;
  std::set<std::string> shown;
  std::vector<std::pair<std::string, std::string>> legend;
  for (const Panel& panel : panels) {
    if (panel.timeline->buckets.empty() || !shown.insert(panel.trial->variant).second) continue;
    legend.emplace_back(absl::StrCat("lane", first.size() % 6), panel.trial->variant);
    first.push_back(&panel);
  }
  std::string figures;
  for (const std::string& phase : SpectrumPhases(panels)) absl::StrAppend(&figures, SpectrumFigure(first, phase));
  if (figures.empty()) return "";
  return absl::StrCat(
      "<h3>By percentile</h3>\n<p class=\"hint\">A percentile is drawn only where at least ten samples lie "
      "beyond it.</p>\n",
      Legend(legend), "<div class=\"panels\">\n", figures, "</div>\n");
}

std::string Lanes(const std::vector<Panel>& panels, const Scales& scales) {
  std::vector<std::pair<std::string, std::string>> legend;
  for (const Panel& panel : panels) {
    for (size_t i = 0; legend.size() < panel.timeline->streams.size(); ++i) {
      legend.emplace_back(absl::StrCat("lane", i % 6), panel.timeline->streams[i].name);
    }
  }
  if (legend.empty()) return "";
  return absl::StrCat("<h3>Admitted by lane</h3>\n<p class=\"hint\">Every lane sees the same arrivals.</p>\n",
                      Legend(legend),
                      Figures(
                          panels, [&](const Panel& p) { return LaneChart(p, scales); },
                          [&](const Panel& p) { return PhaseTable(p, scales.answers); }, "Table by phase"));
}

}  // namespace

std::string HtmlCharts(const Report& report) {
  std::vector<Panel> panels;
  for (size_t i = 0; i < report.run.trials.size() && i < report.timelines.size(); ++i) {
    const Trial& trial = report.run.trials[i];
    const auto variant = std::find_if(report.variants.begin(), report.variants.end(),
                                      [&](const VariantInfo& v) { return v.name == trial.variant; });
    panels.push_back({&trial, &report.timelines[i], variant == report.variants.end() ? nullptr : &*variant});
  }
  std::stable_sort(panels.begin(), panels.end(), [](const Panel& a, const Panel& b) {
    return a.variant != b.variant ? a.variant < b.variant : a.trial->repeat < b.trial->repeat;
  });
  const bool any =
      std::any_of(panels.begin(), panels.end(), [](const Panel& p) { return !p.timeline->buckets.empty(); });
  const bool explored =
      std::any_of(panels.begin(), panels.end(), [](const Panel& p) { return p.trial->exploration.has_value(); });
  if (!any && explored) return "";
  if (!any) return "<section id=\"latency\"><h2>Over time</h2><p>No operation was recorded.</p></section>\n";
  const Scales scales = ScalesOf(panels);
  std::vector<std::pair<std::string, std::string>> rates = {{"offered", "offered"}, {"answered", "answered"}};
  if (scales.answers) rates.emplace_back("admitted", "admitted");
  rates.emplace_back("failed", "failed, unknown or dropped");
  return absl::StrCat(
      "<section id=\"latency\"><h2>Latency</h2>\n<p class=\"hint\">From the time at which a request was meant to be "
      "sent, so "
      "waiting counts. Logarithmic; the same axes in every panel. Shaded: a fault is in force.</p>\n",
      Legend({{"p50", "p50"}, {"p99", "p99"}, {"max", "maximum"}}),
      Figures(
          panels, [&](const Panel& p) { return LatencyChart(p, scales, report.bounds); },
          [&](const Panel& p) { return PhaseTable(p, scales.answers); }, "Table by phase"),
      Spectra(panels), "</section>\n",
      "<section id=\"rates\"><h2>Rates</h2>\n<p class=\"hint\">Requests a second. Offered counts when a request was "
      "meant to be "
      "sent, everything else when it happened.</p>\n",
      Legend(rates),
      Figures(
          panels, [&](const Panel& p) { return RateChart(p, scales); },
          [&](const Panel& p) { return StepTable(p, scales.answers); }, "Table by time"),
      Lanes(panels, scales), "</section>\n");
}

}  // namespace lab::bench
