#include "bench/report/capacity.h"

#include <algorithm>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

constexpr char kLittleHint[] =
    "Little's law: what is in flight is the rate times the time each operation takes. Rate and time come from the "
    "record of operations, in flight was added up while they were sent and answered; where the two differ by more "
    "than 10 %, the record lacks operations or has some twice.";

using Cells = std::vector<std::string>;

// A table as plain cells: HTML and Markdown differ only in how they dress them.
struct Grid {
  Cells head;
  std::vector<Cells> rows;
};

Grid KneeGrid(const Knee& knee) {
  Grid grid{{"rate", "for", "objective", "p99", "failed", "answered", "samples"}, {}};
  for (const KneeProbe& probe : knee.probes) {
    grid.rows.push_back({absl::StrCat(FormatQuantity(probe.rate_per_s, "1/s"), " (", probe.purpose, ")"),
                         FormatQuantity(probe.seconds, "s"), probe.meets ? "✓ met" : "✗ missed",
                         FormatQuantity(probe.p99_s, "s"), FormatQuantity(probe.error_ratio, "%"),
                         FormatQuantity(probe.achieved_per_s, "1/s"), WithCommas(probe.samples)});
  }
  return grid;
}

std::string Cores(const Report& report, double cores) {
  const auto host = report.run.host.find("cores");
  double all = 0;
  const bool known = host != report.run.host.end() && absl::SimpleAtod(host->second, &all) && all > 0;
  return absl::StrFormat("%.2f%s", cores, known ? absl::StrFormat(" (%.0f %%)", cores / all * 100) : "");
}

// The phases of the first repeat of each variant.
Grid QueueingGrid(const Report& report) {
  std::set<std::string> parts, bounds, shown;
  for (const auto& phases : report.queueing) {
    for (const PhaseQueueing& phase : phases) {
      for (const auto& [part, cores] : phase.cores) parts.insert(part);
      for (const auto& [bound, use] : phase.bottlenecks) bounds.insert(bound);
    }
  }
  Grid grid{{"variant, phase", "sent", "time in the system", "rate × time", "in flight", "Little's law"}, {}};
  for (const std::string& part : parts) grid.head.push_back("CPU of " + part);
  for (const std::string& bound : bounds) grid.head.push_back("use of " + bound);
  for (size_t i = 0; i < report.queueing.size() && i < report.run.trials.size(); ++i) {
    const Trial& trial = report.run.trials[i];
    if (!shown.insert(trial.variant).second) continue;
    for (const PhaseQueueing& phase : report.queueing[i]) {
      Cells row = {absl::StrCat(trial.variant, ", ", phase.phase),
                   FormatQuantity(phase.sent_per_s, "1/s"),
                   FormatQuantity(phase.mean_s, "s"),
                   FormatQuantity(phase.expected(), ""),
                   phase.in_flight ? FormatQuantity(*phase.in_flight, "") : "–",
                   phase.mismatch      ? "✗ does not hold"
                   : phase.why.empty() ? "✓ holds"
                                       : "· " + phase.why};
      for (const std::string& part : parts) {
        const auto cores = phase.cores.find(part);
        row.push_back(cores == phase.cores.end() ? "–" : Cores(report, cores->second));
      }
      for (const std::string& bound : bounds) {
        const auto use = phase.bottlenecks.find(bound);
        row.push_back(use == phase.bottlenecks.end() ? "–" : FormatQuantity(use->second, "%"));
      }
      grid.rows.push_back(std::move(row));
    }
  }
  return grid;
}

std::string Html(const Grid& grid) {
  std::string out = "<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers\"><thead><tr>";
  for (const std::string& cell : grid.head) absl::StrAppend(&out, "<th scope=\"col\">", EscapeHtml(cell), "</th>");
  out += "</tr></thead><tbody>\n";
  for (const Cells& row : grid.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&out, i == 0 ? "<th scope=\"row\">" : "<td>", EscapeHtml(row[i]), i == 0 ? "</th>" : "</td>");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>";
}

std::string Markdown(const Grid& grid) {
  const auto line = [](const Cells& cells) {
    Cells escaped;
    for (const std::string& cell : cells) escaped.push_back(EscapeMarkdown(cell));
    return absl::StrCat("| ", absl::StrJoin(escaped, " | "), " |\n");
  };
  Cells rule(grid.head.size(), "---:");
  rule[0] = "---";
  std::string out = absl::StrCat(line(grid.head), "| ", absl::StrJoin(rule, " | "), " |\n");
  for (const Cells& row : grid.rows) out += line(row);
  return out;
}

bool AnyQueueing(const Report& report) {
  return std::any_of(report.queueing.begin(), report.queueing.end(),
                     [](const auto& phases) { return !phases.empty(); });
}

}  // namespace

std::string KneeText(const Knee& knee) {
  if (!knee.per_s) return absl::StrCat("no knee of ", knee.variant, " (", knee.objective, "): ", knee.why);
  std::string text = absl::StrCat("the knee of ", knee.variant, knee.at_least ? " is at least " : " is ",
                                  FormatQuantity(*knee.per_s, "1/s"), " (", knee.objective, ")");
  if (knee.source == "declared") return absl::StrCat(text, ", declared by the lab for quick runs, not measured");
  absl::StrAppend(&text,
                  knee.source == "kept" ? ", kept from an earlier run of the same programs and configuration, found in "
                                        : ", found in ",
                  FormatQuantity(knee.took_s, "s"));
  return knee.found.empty() ? text : absl::StrCat(text, " on ", knee.found);
}

std::vector<std::string> LittleMismatches(const Report& report) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < report.queueing.size() && i < report.run.trials.size(); ++i) {
    const Trial& trial = report.run.trials[i];
    for (const PhaseQueueing& phase : report.queueing[i]) {
      if (!phase.mismatch) continue;
      lines.push_back(absl::StrCat(trial.variant, trial.repeat > 1 ? absl::StrCat(" (", trial.repeat, ")") : "", ", ",
                                   phase.phase, ": ", FormatQuantity(*phase.in_flight, ""),
                                   " operations were in flight, but ", FormatQuantity(phase.sent_per_s, "1/s"), " x ",
                                   FormatQuantity(phase.mean_s, "s"), " = ", FormatQuantity(phase.expected(), "")));
    }
  }
  return lines;
}

std::string CapacityHtml(const Report& report) {
  std::string out;
  if (report.run.knee) {
    absl::StrAppend(&out, "<section id=\"knee\"><h2>Knee</h2>\n<p>", EscapeHtml(KneeText(*report.run.knee)), ".</p>\n");
    if (!report.run.knee->probes.empty()) {
      absl::StrAppend(&out, "<details><summary>The rates that were tried</summary>", Html(KneeGrid(*report.run.knee)),
                      "</details>\n");
    }
    out += "</section>\n";
  }
  if (!AnyQueueing(report)) return out;
  absl::StrAppend(&out, "<section id=\"queueing\"><h2>Queueing</h2>\n<p class=\"hint\">", EscapeHtml(kLittleHint),
                  "</p>\n");
  const std::vector<std::string> mismatches = LittleMismatches(report);
  if (!mismatches.empty()) {
    out += "<ul>";
    for (const std::string& line : mismatches) absl::StrAppend(&out, "<li><b>✗</b> ", EscapeHtml(line), "</li>");
    out += "</ul>\n";
  }
  return absl::StrCat(out, "<details><summary>Rate, time and use of each phase</summary>", Html(QueueingGrid(report)),
                      "</details></section>\n");
}

std::string CapacityMarkdown(const Report& report) {
  std::string out;
  if (report.run.knee) {
    absl::StrAppend(&out, "\n## Knee\n\n", EscapeMarkdown(KneeText(*report.run.knee)), ".\n");
    if (!report.run.knee->probes.empty()) absl::StrAppend(&out, "\n", Markdown(KneeGrid(*report.run.knee)));
  }
  if (!AnyQueueing(report)) return out;
  absl::StrAppend(&out, "\n## Queueing\n\n", kLittleHint, "\n\n");
  for (const std::string& line : LittleMismatches(report)) absl::StrAppend(&out, "- ✗ ", EscapeMarkdown(line), "\n");
  return absl::StrCat(out, LittleMismatches(report).empty() ? "" : "\n", Markdown(QueueingGrid(report)));
}

std::string CapacityLines(const Report& report, int width, const Ansi& ansi) {
  std::string out;
  if (report.run.knee) {
    const State state = report.run.knee->per_s ? State::kPass : State::kInconclusive;
    const std::string text = Wrap(absl::StrCat("   ", PrintableText(KneeText(*report.run.knee))), width, 3);
    absl::StrAppend(&out, " ", ansi.ByState(state, StateGlyph(state)), text.substr(2));
  }
  constexpr size_t kMost = 4;
  const std::vector<std::string> mismatches = LittleMismatches(report);
  for (size_t i = 0; i < mismatches.size() && i < kMost; ++i) {
    const std::string text =
        Wrap(absl::StrCat("   Little's law does not hold: ", PrintableText(mismatches[i])), width, 3);
    absl::StrAppend(&out, " ", ansi.ByState(State::kInconclusive, StateGlyph(State::kInconclusive)), text.substr(2));
  }
  return out;
}

}  // namespace lab::bench
