#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/judge/judge.h"
#include "bench/report/html_panel.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

std::string Cell(double value, const std::string& unit) {
  return absl::StrCat("<td>", EscapeHtml(FormatQuantity(value, unit)), "</td>");
}

}  // namespace

const PhaseStats* FindPhase(const Timeline& timeline, const std::string& name) {
  for (const PhaseStats& phase : timeline.phases) {
    if (phase.phase == name) return &phase;
  }
  return nullptr;
}

std::string QuantileName(double quantile) { return absl::StrFormat("p%g", quantile * 100); }

std::string PhaseTable(const Panel& panel, bool answers) {
  std::string out =
      "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr><th scope=\"col\">phase</th><th "
      "scope=\"col\">offered</th>"
      "<th scope=\"col\">ok</th>";
  if (answers) absl::StrAppend(&out, "<th scope=\"col\">admitted</th>");
  absl::StrAppend(&out, "<th scope=\"col\">failed</th><th scope=\"col\">unknown</th><th scope=\"col\">dropped</th>",
                  "<th scope=\"col\">p50</th><th scope=\"col\">p99</th><th scope=\"col\">max</th>",
                  "<th scope=\"col\">service p99</th><th scope=\"col\">lag p99</th></tr></thead><tbody>\n");
  for (const PhaseStats& phase : panel.timeline->phases) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(phase.phase), "</th>");
    for (const uint64_t count : {phase.offered, phase.ok}) absl::StrAppend(&out, "<td>", WithCommas(count), "</td>");
    if (answers) absl::StrAppend(&out, "<td>", WithCommas(phase.admitted), "</td>");
    for (const uint64_t count : {phase.failed, phase.unknown, phase.dropped}) {
      absl::StrAppend(&out, "<td>", WithCommas(count), "</td>");
    }
    for (const double value : {phase.p50_s, phase.p99_s, phase.max_s, phase.service_p99_s, phase.lag_p99_s}) {
      absl::StrAppend(&out, phase.samples > 0 ? Cell(value, "s") : "<td>–</td>");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return out + "</tbody></table></div>";
}

std::string StepTable(const Panel& panel, bool answers) {
  std::string out =
      "<div class=\"scroll steps\" tabindex=\"0\"><table class=\"numbers\"><thead><tr><th scope=\"col\">from</th><th "
      "scope=\"col\">p50</th>"
      "<th scope=\"col\">p99</th><th scope=\"col\">max</th><th scope=\"col\">offered</th><th scope=\"col\">ok</th>";
  if (answers) absl::StrAppend(&out, "<th scope=\"col\">admitted</th>");
  absl::StrAppend(&out, "<th scope=\"col\">failed</th></tr></thead><tbody>\n");
  for (size_t i = 0; i < panel.timeline->buckets.size(); ++i) {
    const Bucket& bucket = panel.timeline->buckets[i];
    absl::StrAppend(&out, "<tr><th scope=\"row\">", AtSeconds(static_cast<double>(i) * panel.timeline->step_s),
                    "</th>");
    for (const double value : {bucket.p50_s, bucket.p99_s, bucket.max_s}) {
      absl::StrAppend(&out, bucket.samples > 0 ? Cell(value, "s") : "<td>–</td>");
    }
    absl::StrAppend(&out, "<td>", bucket.offered, "</td><td>", bucket.ok, "</td>");
    if (answers) absl::StrAppend(&out, "<td>", bucket.admitted, "</td>");
    absl::StrAppend(&out, "<td>", bucket.failed + bucket.unknown + bucket.dropped, "</td></tr>\n");
  }
  return out + "</tbody></table></div>";
}

std::string SpectrumTable(const std::vector<const Panel*>& panels, const std::string& phase) {
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr><td></td>";
  for (const double quantile : kSpectrum) absl::StrAppend(&out, "<th scope=\"col\">", QuantileName(quantile), "</th>");
  absl::StrAppend(&out, "<th scope=\"col\">samples</th></tr></thead><tbody>\n");
  for (const Panel* panel : panels) {
    const PhaseStats* stats = FindPhase(*panel->timeline, phase);
    if (stats == nullptr) continue;
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(panel->trial->variant), "</th>");
    for (size_t i = 0; i < std::size(kSpectrum); ++i) {
      absl::StrAppend(&out, i < stats->spectrum_s.size() ? Cell(stats->spectrum_s[i], "s") : "<td>–</td>");
    }
    absl::StrAppend(&out, "<td>", WithCommas(stats->samples), "</td></tr>\n");
  }
  return out + "</tbody></table></div>";
}

}  // namespace lab::bench
