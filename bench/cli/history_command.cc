#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bench/cli/calibration.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/compare_runs.h"
#include "bench/cli/table.h"
#include "bench/cli/terminal.h"
#include "bench/judge/judge.h"
#include "bench/report/report.h"
#include "bench/report/result_json.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

// The headline values of a lab are those that it asks predictions for.
std::string Headline(const PredictionScore& score) {
  std::string text = score.measured ? FormatQuantity(*score.measured, score.unit) : "–";
  if (score.predicted) absl::StrAppend(&text, " (said ", FormatQuantity(*score.predicted, score.unit), ")");
  return text;
}

using Row = std::vector<std::string>;

Row RowOf(const RunHeadline& run, const std::vector<std::string>& ids) {
  Row row = {PrintableText(run.started.substr(0, 19)), StateWord(run.state) + (run.quick ? " quick" : "")};
  if (run.exit_status == kNotCompleted) row[1] = "not completed";
  for (const std::string& id : ids) {
    const auto found = std::find_if(run.predictions.begin(), run.predictions.end(),
                                    [&](const PredictionScore& s) { return s.id == id; });
    row.push_back(found == run.predictions.end() ? "–" : Headline(*found));
  }
  row.push_back(absl::StrCat(run.seed));
  row.push_back(PrintableText(run.revision));
  return row;
}

std::string PredictionTally(const std::vector<RunHeadline>& runs) {
  int given = 0;
  std::map<std::string, int> bands;
  for (const RunHeadline& run : runs) {
    for (const PredictionScore& score : run.predictions) {
      if (!score.predicted || !score.measured) continue;
      ++given;
      ++bands[score.band];
    }
  }
  if (given == 0) return "";
  return absl::StrCat("  predictions: ", given, " given, ", bands["within 2x"], " within a factor of two, ",
                      bands["within 4x"], " within four, ", bands["off"], " further off\n");
}

std::string LabHistory(const std::string& lab, const std::vector<RunHeadline>& runs, const Ansi& ansi) {
  std::vector<std::string> ids;
  for (const PredictionScore& score : runs.back().predictions) ids.push_back(score.id);
  Row header = {"started", "verdict"};
  header.insert(header.end(), ids.begin(), ids.end());
  header.insert(header.end(), {"seed", "revision"});
  std::vector<Row> rows = {header};
  for (const RunHeadline& run : runs) rows.push_back(RowOf(run, ids));
  const std::string calibration = CalibrationText(runs, ansi);
  return absl::StrCat(ansi.Bold(lab), "\n", TableText(rows, ansi), PredictionTally(runs),
                      calibration.empty() ? "" : "\n", calibration, "\n");
}

// A list of runs, oldest first; what was not predicted or not measured is null.
std::string HistoryJson(const std::vector<RunHeadline>& runs) {
  using Json = nlohmann::ordered_json;
  const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); };
  Json list = Json::array();
  for (const RunHeadline& run : runs) {
    Json predictions = Json::array();
    for (const PredictionScore& score : run.predictions) {
      predictions.push_back({{"id", score.id},
                             {"unit", score.unit},
                             {"predicted", number(score.predicted)},
                             {"measured", number(score.measured)},
                             {"band", score.band}});
    }
    list.push_back({{"lab", run.lab},
                    {"folder", run.folder},
                    {"started", run.started},
                    {"verdict", absl::AsciiStrToLower(StateWord(run.state))},
                    {"exit_status", run.exit_status},
                    {"quick", run.quick},
                    {"seed", run.seed},
                    {"revision", run.revision},
                    {"predictions", predictions}});
  }
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int Compare(const Session& session, const Arguments& arguments) {
  if (arguments.operands.size() != 3) {
    return Fail(kUsage, "history compare takes two runs: <lab>/<time> as below .lab/runs, or folders");
  }
  std::vector<Report> reports;
  for (const std::string& run : {arguments.operands[1], arguments.operands[2]}) {
    const absl::StatusOr<std::string> folder = FindRun(session.root, run);
    if (!folder.ok()) return Fail(absl::IsInvalidArgument(folder.status()) ? kUsage : kMissing, folder.status());
    absl::StatusOr<Report> report = ReadReport(*folder);
    if (!report.ok()) return Fail(kNotCompleted, report.status());
    reports.push_back(*std::move(report));
  }
  const std::string& lab = reports[0].run.lab;
  if (lab != reports[1].run.lab) {
    return Fail(kUsage, absl::StrCat("these are runs of different labs, ", lab, " and ", reports[1].run.lab,
                                     "; compare two of one"));
  }
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  std::fputs((arguments.Has("--json") ? CompareRunsJson(reports[0], reports[1])
                                      : CompareRunsText(reports[0], reports[1], ansi))
                 .c_str(),
             stdout);
  return 0;
}

int History(const Session& session, const Arguments& arguments) {
  if (!arguments.operands.empty() && arguments.operands[0] == "compare") return Compare(session, arguments);
  if (arguments.operands.size() > 1) {
    return Fail(kUsage, absl::StrCat("history takes one lab; to compare two runs: ./lab history compare ",
                                     arguments.operands[0], " ", arguments.operands[1]));
  }
  const std::string only = arguments.operands.empty() ? "" : arguments.operands[0];
  const std::vector<std::string> names = LabNames(session.root);
  if (!only.empty() && std::find(names.begin(), names.end(), only) == names.end() &&
      RunFolders(session.root, only).empty()) {
    return Fail(kUsage, absl::StrCat("there is no lab \"", only, "\"", Suggestion(only, names)));
  }
  std::vector<RunHeadline> runs;
  for (const std::string& folder : RunFolders(session.root, only)) {
    absl::StatusOr<RunHeadline> run = ReadHeadline(folder);
    if (run.ok()) {
      runs.push_back(std::move(*run));
    } else {
      std::fprintf(stderr, "lab: %s\n", Message(run.status()).c_str());
    }
  }
  if (arguments.Has("--json")) {
    std::fputs(HistoryJson(runs).c_str(), stdout);
    return 0;
  }
  std::map<std::string, std::vector<RunHeadline>> by_lab;
  for (RunHeadline& run : runs) by_lab[run.lab].push_back(std::move(run));
  if (by_lab.empty()) {
    std::puts("no runs yet; ./lab run rate-limit-outage makes one");
    return 0;
  }
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  for (const auto& [lab, of_lab] : by_lab) std::fputs(LabHistory(lab, of_lab, ansi).c_str(), stdout);
  return 0;
}

}  // namespace

Command HistoryCommand() {
  return {
      {"history",
       "[lab] | compare <run> <run>",
       0,
       3,
       {{"--json", "", "the same as JSON: a list of the runs, oldest first, or the comparison"}},
       "Earlier runs: verdicts, headline values, how your predictions fared; two runs side by side",
       "A run is <lab>/<time> as below .lab/runs, a lab (its latest), or a folder. Only the last 20 runs of a lab are "
       "kept.\n\n"
       "Examples\n"
       "  ./lab history rate-limit-outage\n"
       "  ./lab history compare rate-limit-outage/20261121-155012 rate-limit-outage\n"},
      &History};
}

}  // namespace lab::bench::cli
