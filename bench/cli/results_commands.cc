// `report` and `card`: results of earlier runs, read again.

#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/report/card.h"
#include "bench/report/html.h"
#include "bench/report/markdown.h"
#include "bench/report/result_json.h"
#include "services/runtime/base/file.h"

namespace lab::bench::cli {
namespace {

int NotFound(const absl::Status& status) { return Fail(absl::IsInvalidArgument(status) ? kUsage : kMissing, status); }

int ShowReport(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<std::string> folder =
      FindRun(session.root, arguments.operands.empty() ? "" : arguments.operands[0]);
  if (!folder.ok()) return NotFound(folder.status());
  const absl::StatusOr<Report> report = ReadReport(*folder);
  if (!report.ok()) return Fail(kNotCompleted, report.status());
  if (arguments.Has("--rewrite")) {
    for (const auto& [name, text] :
         {std::pair("report.md", MarkdownReport(*report)), {"report.html", HtmlReport(*report)}}) {
      const absl::Status written = WriteFileAtomic(*folder + "/" + name, text);
      if (!written.ok()) return Fail(kNotCompleted, written);
    }
  }
  if (arguments.Has("--json")) {
    std::fputs(ResultJson(*report).c_str(), stdout);
  } else if (arguments.Has("--markdown")) {
    std::fputs(MarkdownReport(*report).c_str(), stdout);
  } else {
    const TerminalStyle style = StyleOf(STDOUT_FILENO, arguments.Has("--plain"));
    std::fputs(Summary(*report, style, ShortPath(*folder + "/report.html")).c_str(), stdout);
  }
  return 0;
}

int ShowCard(const Session& session, const Arguments& arguments) {
  const absl::StatusOr<std::string> folder =
      FindRun(session.root, arguments.operands.empty() ? "" : arguments.operands[0]);
  if (!folder.ok()) return NotFound(folder.status());
  const absl::StatusOr<std::string> card = ReadFile(*folder + "/card.md");
  if (!card.ok()) return Fail(kNotCompleted, card.status());
  std::fputs(card->c_str(), stdout);
  return 0;
}

constexpr char kWhichRun[] =
    "Without [run] it is the latest of all. [run] is a lab (its latest), <lab>/<time> as below .lab/runs, or a "
    "folder.\n";

}  // namespace

Command ReportCommand() {
  return {{"report",
           "[run]",
           0,
           1,
           {{"--json", "", "result.json"},
            {"--markdown", "", "report.md"},
            {"--plain", "", "no colours"},
            {"--rewrite", "", "make report.md and report.html again from result.json"}},
           "A run's result again, and where its page is",
           absl::StrCat(kWhichRun, "\nExamples\n  ./lab report\n  ./lab report rate-limit-outage --markdown\n")},
          &ShowReport};
}

Command CardCommand() {
  return {{"card",
           "[run]",
           0,
           1,
           {},
           "The answer card: what to say in the interview, with your numbers",
           absl::StrCat(kWhichRun, "\nExamples\n  ./lab card\n  ./lab card rate-limit-outage\n")},
          &ShowCard};
}

}  // namespace lab::bench::cli
