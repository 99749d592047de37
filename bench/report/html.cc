#include "bench/report/html.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/judge/judge.h"
#include "bench/report/accounts.h"
#include "bench/report/capacity.h"
#include "bench/report/exploration.h"
#include "bench/report/html_panel.h"
#include "bench/report/text.h"
#include "bench/ui/page.h"

namespace lab::bench {
namespace {

// The name of a state as a class of the style sheet.
std::string StateCss(State state) {
  switch (state) {
    case State::kPass:
      return "pass";
    case State::kFail:
      return "fail";
    case State::kInconclusive:
      return "open";
    case State::kNotAsked:
      return "none";
  }
  return "open";
}

std::string Title(const Report& report) {
  return absl::StrCat(StateWord(report.run.verdict.state), " · ",
                      report.run.title.empty() ? report.run.lab : report.run.title, " · ", report.run.started);
}

// The page's script draws here, and shows the section; without one it stays away.
constexpr char kExplorer[] =
    "<section id=\"explore\" hidden><h2>Trial by trial</h2>\n<p class=\"hint\">Move through the time of a trial, with "
    "the "
    "slider or over a chart; what stands below compares all of them.</p>\n<div id=\"app\"></div></section>\n";

std::string VerdictBlock(const Report& report) {
  const Run& run = report.run;
  const Verdict& verdict = run.verdict;
  std::string out = absl::StrCat("<header>\n<p class=\"eyebrow\">", EscapeHtml(run.lab), run.quick ? " · quick" : "",
                                 "</p>\n<h1>", EscapeHtml(run.title.empty() ? run.lab : run.title), "</h1>\n");
  if (!report.question.empty()) absl::StrAppend(&out, "<p class=\"question\">", EscapeHtml(report.question), "</p>\n");
  absl::StrAppend(&out, "<div class=\"verdict ", StateCss(verdict.state),
                  "\"><span class=\"glyph\" aria-hidden=\"true\">", StateGlyph(verdict.state),
                  "</span><div><p class=\"word\">", StateWord(verdict.state), "</p>");
  if (run.interrupted) absl::StrAppend(&out, "<p>The run was interrupted; what follows is what there was by then.</p>");
  const std::vector<std::string> reasons = DistinctReasons(run);
  if (!reasons.empty()) absl::StrAppend(&out, "<p>", EscapeHtml(reasons.front()), "</p>");
  if (reasons.size() > 1) {
    absl::StrAppend(&out, "<ul>");
    for (size_t i = 1; i < reasons.size(); ++i) absl::StrAppend(&out, "<li>", EscapeHtml(reasons[i]), "</li>");
    absl::StrAppend(&out, "</ul>");
  }
  absl::StrAppend(&out, "</div></div>\n<p class=\"conditions\">", EscapeHtml(ConditionLine(report)), "</p>\n");
  return out;
}

// A link to each section that is shown.
std::string Navigation(const std::string& sections) {
  constexpr std::string_view kBegin = "<section id=\"", kTitle = "\"><h2>", kEnd = "</h2>";
  std::string links;
  for (size_t at = sections.find(kBegin); at != std::string::npos; at = sections.find(kBegin, at)) {
    at += kBegin.size();
    const std::string id = sections.substr(at, sections.find('"', at) - at);
    const size_t title = at + id.size() + kTitle.size();
    if (sections.compare(at + id.size(), kTitle.size(), kTitle) != 0) continue;  // hidden
    absl::StrAppend(&links, "<a href=\"#", id, "\">", sections.substr(title, sections.find(kEnd, title) - title),
                    "</a>");
  }
  return absl::StrCat("<nav aria-label=\"Sections\">", links, "</nav>\n</header>\n<main>\n");
}

std::string FindingLine(const Finding& finding) {
  std::string out =
      absl::StrCat("<li", finding.control ? " class=\"control\"" : "", ">", StateMark(finding.state), " ");
  if (!finding.variant.empty()) absl::StrAppend(&out, "<b>", EscapeHtml(finding.variant), "</b> ");
  absl::StrAppend(&out, EscapeHtml(finding.measured));
  if (!finding.why.empty()) absl::StrAppend(&out, finding.measured.empty() ? "" : ", ", EscapeHtml(finding.why));
  if (finding.control) absl::StrAppend(&out, " <span class=\"tag\">broken on purpose</span>");
  if (!finding.offenders.empty()) {
    absl::StrAppend(&out, "<details><summary>", finding.offenders.size(),
                    " offending</summary><ol class=\"offenders\">");
    for (const std::string& offender : finding.offenders) absl::StrAppend(&out, "<li>", EscapeHtml(offender), "</li>");
    absl::StrAppend(&out, "</ol></details>");
  }
  return out + "</li>";
}

std::string Expectations(const Report& report) {
  std::string out =
      "<section id=\"expectations\"><h2>Expectations</h2>\n<div class=\"scroll\" tabindex=\"0\"><table "
      "class=\"rules\"><thead><tr>"
      "<th scope=\"col\"><span class=\"hidden\">state</span></th><th scope=\"col\">rule</th>"
      "<th scope=\"col\">measured</th></tr></thead><tbody>\n";
  const std::vector<Rule> rules = RulesOf(report);
  for (const Rule& rule : rules) {
    absl::StrAppend(&out, "<tr><td>", StateMark(rule.state), "</td><th scope=\"row\">", EscapeHtml(rule.name),
                    rule.text == rule.name ? "" : "<code>" + EscapeHtml(rule.text) + "</code>",
                    "</th><td><ul class=\"findings\">");
    for (const bool control : {false, true}) {  // those that count first
      for (const Finding* finding : rule.findings) {
        if (finding->control == control) absl::StrAppend(&out, FindingLine(*finding));
      }
    }
    absl::StrAppend(&out, "</ul></td></tr>\n");
  }
  absl::StrAppend(&out, "</tbody></table></div>\n");
  if (rules.empty()) out = "<section id=\"expectations\"><h2>Expectations</h2>\n<p>None was judged.</p>\n";
  if (!report.run.verdict.catches.empty()) {
    absl::StrAppend(&out,
                    "<h3>Can these checks say no?</h3>\n<p class=\"hint\">A variant that is broken on purpose must "
                    "break the rule it names; otherwise the run fails.</p>\n<ul class=\"catches\">");
    for (const Catch& caught : report.run.verdict.catches) {
      absl::StrAppend(&out, "<li>", StateMark(caught.state), " ", EscapeHtml(caught.text), "</li>");
    }
    absl::StrAppend(&out, "</ul>\n");
  }
  if (const std::string noise = NoiseLine(report); !noise.empty()) {
    absl::StrAppend(&out, "<p class=\"noise\"><b>Noise.</b> ", EscapeHtml(noise),
                    ". A difference that lies within this is none.</p>\n");
  }
  return out + "</section>\n";
}

std::string Variants(const Report& report) {
  const std::vector<VariantInfo> variants = VariantsThatRan(report);
  std::string out =
      "<section id=\"variants\"><h2>Variants</h2>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers "
      "variants\"><thead><tr>"
      "<td></td>";
  for (const VariantInfo& variant : variants) {
    absl::StrAppend(&out, "<th scope=\"col\">", EscapeHtml(variant.name));
    if (variant.broken) absl::StrAppend(&out, "<span class=\"tag\">broken on purpose</span>");
    if (!variant.note.empty()) absl::StrAppend(&out, "<span class=\"note\">", EscapeHtml(variant.note), "</span>");
    absl::StrAppend(&out, "</th>");
  }
  absl::StrAppend(&out, "</tr></thead><tbody>\n");
  for (const ValueInfo& value : report.values) {
    if (value.label.empty()) continue;
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(value.label), "<code>", EscapeHtml(value.expression),
                    "</code></th>");
    for (const VariantInfo& variant : variants) {
      const Measured* measured = FindValue(report, variant.name, value.name);
      absl::StrAppend(&out, "<td>", EscapeHtml(ValueText(report, variant.name, value.name)));
      if (measured != nullptr && !measured->value) {
        absl::StrAppend(&out, "<span class=\"note\">", EscapeHtml(measured->why_missing), "</span>");
      } else if (measured != nullptr && measured->samples > 0) {
        absl::StrAppend(&out, "<span class=\"note\">n = ", WithCommas(measured->samples), "</span>");
      }
      absl::StrAppend(&out, "</td>");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Predictions(const Report& report) {
  const std::vector<PredictionScore>& scores = report.run.verdict.predictions;
  const bool any =
      std::any_of(scores.begin(), scores.end(), [](const PredictionScore& s) { return s.predicted.has_value(); });
  if (!any) return "";
  std::string out =
      "<section id=\"predictions\"><h2>Predictions</h2>\n<div class=\"scroll\" tabindex=\"0\"><table "
      "class=\"numbers\"><thead><tr>"
      "<th scope=\"col\">asked before the run</th><th scope=\"col\">said</th><th scope=\"col\">measured</th>"
      "<th scope=\"col\">off by</th><th scope=\"col\">band</th></tr></thead><tbody>\n";
  for (const PredictionScore& score : scores) {
    const auto cell = [&](const std::optional<double>& value) {
      return value ? EscapeHtml(FormatQuantity(*value, score.unit)) : "–";
    };
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(score.ask), "</th><td>", cell(score.predicted),
                    "</td><td>", cell(score.measured), "</td><td>",
                    score.factor ? FormatQuantity(*score.factor, "x") : "–", "</td><td>", EscapeHtml(score.band),
                    "</td></tr>\n");
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Time(const std::optional<double>& at) { return at ? AtSeconds(*at) : "–"; }

std::string Faults(const Report& report) {
  std::string out = "<section id=\"faults\"><h2>Faults</h2>\n";
  const std::vector<FaultSummary> faults = SummarizeFaults(report);
  if (faults.empty()) return out + "<p>None in this lab.</p></section>\n";
  absl::StrAppend(
      &out,
      "<p class=\"hint\">A fault counts only when a probe on the same path has seen its effect. Seconds since "
      "the start of the load.</p>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"numbers faults\"><thead><tr>"
      "<th scope=\"col\">fault</th><th scope=\"col\">variant</th><th scope=\"col\">asked</th>"
      "<th scope=\"col\">applied</th><th scope=\"col\">seen</th><th scope=\"col\">heal asked</th>"
      "<th scope=\"col\">healed</th><th scope=\"col\">evidence</th></tr></thead><tbody>\n");
  for (const FaultSummary& summary : faults) {
    for (const Trial& trial : report.run.trials) {
      for (const FaultRecord& fault : trial.faults) {
        if (fault.id != summary.id) continue;
        const State state = fault.seen_s && fault.error.empty() ? State::kPass : State::kInconclusive;
        absl::StrAppend(&out, "<tr><th scope=\"row\">", StateMark(state), " ", EscapeHtml(fault.fault),
                        "</th><td class=\"text\">", EscapeHtml(TrialName(trial)), "</td><td>", AtSeconds(fault.asked_s),
                        "</td><td>", Time(fault.applied_s), "</td><td>", Time(fault.seen_s), "</td><td>",
                        Time(fault.heal_asked_s), "</td><td>", Time(fault.healed_s), "</td><td class=\"text\">",
                        EscapeHtml(fault.evidence),
                        fault.error.empty() ? "" : " <b>" + EscapeHtml(fault.error) + "</b>", "</td></tr>\n");
      }
    }
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Recoveries(const Report& report) {
  if (report.run.verdict.recoveries.empty()) return "";
  std::string out =
      "<section id=\"recovery\"><h2>Recovery</h2>\n<p class=\"hint\">Medians over the repeats. Right again and drained "
      "count from the asking for the fault's end, or from the blow.</p>\n<div class=\"scroll\" tabindex=\"0\"><table "
      "class=\"numbers faults\"><thead><tr><th scope=\"col\">fault</th><th scope=\"col\">variant</th>";
  for (const AccountColumn& column : AccountColumns()) {
    absl::StrAppend(&out, "<th scope=\"col\">", EscapeHtml(column.heading), "</th>");
  }
  absl::StrAppend(&out, "</tr></thead><tbody>\n");
  for (const RecoveryAccount& account : report.run.verdict.recoveries) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(account.fault), "</th><td class=\"text\">",
                    EscapeHtml(account.variant), "</td>");
    for (const AccountColumn& column : AccountColumns()) {
      const std::string why = AccountWhy(account, column.name);
      absl::StrAppend(&out, "<td", why.empty() ? "" : absl::StrCat(" title=\"", EscapeHtml(why), "\""), ">",
                      EscapeHtml(AccountText(account, column.name)), "</td>");
    }
    absl::StrAppend(&out, "</tr>\n");
  }
  return out + "</tbody></table></div></section>\n";
}

std::string Problems(const Report& report) {
  std::string items;
  for (const Trial& trial : report.run.trials) {
    for (const std::string& problem : trial.problems) {
      absl::StrAppend(&items, "<li><b>", EscapeHtml(trial.variant), "</b> ", EscapeHtml(problem), "</li>");
    }
    if (!trial.complete) absl::StrAppend(&items, "<li><b>", EscapeHtml(trial.variant), "</b> was broken off</li>");
  }
  if (items.empty()) return "";
  return absl::StrCat("<section id=\"problems\"><h2>Why not to trust this</h2>\n<ul>", items, "</ul></section>\n");
}

void Entry(std::string& out, const std::string& name, const std::string& value) {
  if (!value.empty()) absl::StrAppend(&out, "<dt>", EscapeHtml(name), "</dt><dd>", value, "</dd>\n");
}

std::string Parts(const Report& report) {
  std::set<std::string> lines;
  for (const Trial& trial : report.run.trials) {
    for (const PartInfo& part : trial.parts) {
      lines.insert(absl::StrCat(EscapeHtml(part.name), part.version.empty() ? "" : " · " + EscapeHtml(part.version)));
    }
  }
  return absl::StrJoin(lines, "<br>");
}

std::string PartSettings(const Report& report) {
  std::set<std::string> seen;
  std::string out;
  for (const Trial& trial : report.run.trials) {
    if (!seen.insert(trial.variant).second) continue;
    std::string settings;
    for (const PartInfo& part : trial.parts) {
      for (const auto& [key, value] : part.changed) {
        absl::StrAppend(&settings, "<li><code>", EscapeHtml(part.name), ".", EscapeHtml(key), " = ",
                        EscapeHtml(Truncate(value, 100)), "</code></li>");
      }
    }
    if (settings.empty()) continue;
    absl::StrAppend(&out, "<h3>", EscapeHtml(trial.variant), "</h3><ul class=\"settings\">", settings, "</ul>");
  }
  if (out.empty()) return "";
  return "<details><summary>Settings that differ from a part's default</summary>" + out + "</details>\n";
}

// What else lies in the run folder, as relative links; a bounded number of them.
std::string RawFiles(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> files;
  std::filesystem::recursive_directory_iterator walk(folder, error), end;
  for (; !error && walk != end && files.size() < 400; walk.increment(error)) {
    const std::string file = std::filesystem::relative(walk->path(), folder, error).string();
    const std::string extension = walk->path().extension();
    if (!walk->is_regular_file(error) || (extension != ".csv" && extension != ".json" && extension != ".log")) continue;
    if (file != "result.json") files.push_back(file);
  }
  if (files.empty()) return "";
  std::sort(files.begin(), files.end());
  std::string out = "<details><summary>Raw samples, receipts and logs beside this page</summary><ul class=\"files\">";
  for (const std::string& file : files) {
    absl::StrAppend(&out, "<li><a href=\"./", EscapeHtml(file), "\">", EscapeHtml(file), "</a></li>");
  }
  return out + "</ul></details>\n";
}

std::string Conditions(const Report& report) {
  const Run& run = report.run;
  std::string list;
  Entry(list, "To reproduce", "<code class=\"command\">" + EscapeHtml(CommandLine(report)) + "</code>");
  Entry(list, "Started", EscapeHtml(run.started) + ", took " + EscapeHtml(FormatQuantity(run.duration_s, "s")));
  Entry(list, "Seed", absl::StrCat(run.seed));
  Entry(list, "Revision", EscapeHtml(run.revision));
  Entry(list, "Load", EscapeHtml(report.load));
  Entry(list, "Parts", Parts(report));
  for (const auto& [key, value] : run.host) Entry(list, "Host, " + key, EscapeHtml(value));
  std::string changed;
  for (const auto& [key, value] : run.changed) {
    absl::StrAppend(&changed, "<code>", EscapeHtml(key), " = ", EscapeHtml(value), "</code><br>");
  }
  Entry(list, "Changed by --set", changed.empty() ? "nothing" : changed);
  return absl::StrCat("<section id=\"conditions\"><h2>Conditions</h2>\n<dl>\n", list, "</dl>\n", PartSettings(report),
                      RawFiles(run.folder), "</section>\n");
}

}  // namespace

std::string StateMark(State state) {
  static const char* const kWords[] = {"holds", "broken", "inconclusive", "not asked"};
  return absl::StrCat("<span class=\"mark ", StateCss(state), "\" role=\"img\" aria-label=\"",
                      kWords[static_cast<int>(state)], "\">", StateGlyph(state), "</span>");
}

std::string HtmlBody(const Report& report) {
  const std::string sections = absl::StrCat(
      Expectations(report), Problems(report), Variants(report), ExplorationHtml(report), Predictions(report), kExplorer,
      HtmlCharts(report), Faults(report), Recoveries(report), CapacityHtml(report), Conditions(report));
  return absl::StrCat("\n", VerdictBlock(report), Navigation(sections), sections,
                      "</main>\n<footer><p>Every number on this page was measured on the host named above; "
                      "<a href=\"./result.json\">result.json</a> holds them all.</p></footer>\n");
}

std::string HtmlReport(const Report& report) {
  return ui::MakePage({Title(report), HtmlBody(report), HtmlData(report)});
}

}  // namespace lab::bench
