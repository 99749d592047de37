#include <unistd.h>

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/cli/checkout.h"
#include "bench/cli/commands.h"
#include "bench/cli/terminal.h"
#include "bench/report/report.h"
#include "bench/report/result_json.h"
#include "bench/report/text.h"
#include "bench/run/part_kind.h"

namespace lab::bench::cli {
namespace {

std::string LastVerdict(const std::string& root, const std::string& lab, const Ansi& ansi) {
  const std::vector<std::string> runs = RunFolders(root, lab);
  if (runs.empty()) return "not run yet";
  const absl::StatusOr<RunHeadline> last = ReadHeadline(runs.back());
  if (!last.ok()) return Message(last.status());
  return absl::StrCat(ansi.ByState(last->state, StateWord(last->state)), last->quick ? " (quick)" : "", ", ",
                      PrintableText(last->started));
}

int List(const Session& session, const Arguments& arguments) {
  const Catalogue catalogue = MakeCatalogue(session.root);
  const Ansi ansi(StyleOf(STDOUT_FILENO, false).color);
  int status = 0;
  std::string out;
  for (const std::string& name : LabNames(session.root)) {
    const absl::StatusOr<Lab> lab = OpenLab(session.root, name, catalogue);
    absl::StrAppend(&out, ansi.Bold(name), "\n");
    if (!lab.ok()) {
      absl::StrAppend(&out, "  ", ansi.ByState(State::kFail, "✗"), " its file has errors:\n    ", Message(lab.status()),
                      "\n\n");
      status = kUsage;
      continue;
    }
    absl::StrAppend(&out, "  ", PrintableText(lab->title), "\n  ", PrintableText(lab->question), "\n  needs ",
                    absl::StrJoin(lab->needs, ", "), " · at most ", FormatDuration(lab->budget_run), ", --quick ",
                    FormatDuration(lab->budget_quick), "\n  variants ");
    const char* separator = "";
    for (const VariantSpec& variant : lab->variants) {
      absl::StrAppend(&out, separator, variant.name, variant.broken ? " (broken)" : "");
      separator = ", ";
    }
    absl::StrAppend(&out, "\n  last run: ", LastVerdict(session.root, name, ansi), "\n\n");
  }
  if (arguments.Has("--faults")) {
    absl::StrAppend(&out, ansi.Bold("Faults"), "\n");
    for (const auto& [fault, doc] : FaultDocs()) absl::StrAppend(&out, "  ", PadRight(fault, 22), "  ", doc, "\n");
  }
  std::fputs(out.c_str(), stdout);
  return status;
}

}  // namespace

Command ListCommand() {
  return {{"list",
           "",
           0,
           0,
           {{"--faults", "", "also what can be broken, and what that does"}},
           "The labs, the question each answers, and how its last run ended",
           ""},
          &List};
}

}  // namespace lab::bench::cli
