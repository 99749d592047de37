#include <unistd.h>

#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
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

// What a lab file may say of each kind of part.
std::string Parts(const Catalogue& catalogue, const Ansi& ansi) {
  std::string out;
  for (const auto& [kind, knobs] : catalogue.knobs) {
    absl::StrAppend(&out, ansi.Bold(absl::StrCat("Part ", kind)), "\n");
    for (const auto& [target, fields] : catalogue.targets) {
      if (!absl::StartsWith(target, kind + ".")) continue;
      absl::StrAppend(&out, "  target ", target, ", request fields ", absl::StrJoin(fields, ", "), "\n");
    }
    for (const Catalogue::Knob& knob : knobs) {
      const std::string values = knob.names.empty() ? knob.type : absl::StrJoin(knob.names, " | ");
      absl::StrAppend(&out, "  ", PadRight(knob.path, 28), "  ", knob.doc, " (", values,
                      knob.range.empty() ? "" : absl::StrCat(", ", knob.range), "; default ",
                      knob.fallback.empty() ? "none" : knob.fallback, ")\n");
    }
    out += "\n";
  }
  for (const std::string& kind : catalogue.not_here) {
    absl::StrAppend(&out, ansi.Bold(absl::StrCat("Part ", kind)), "\n  its program is not here yet\n\n");
  }
  return out;
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
      absl::StrAppend(&out, "  ", ansi.ByState(State::kFail, "✗"), " its file has errors:\n");
      for (const absl::string_view line : absl::StrSplit(lab.status().message(), '\n')) {
        absl::StrAppend(&out, "    ", PrintableText(std::string(line)), "\n");
      }
      out += "\n";
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
  if (arguments.Has("--parts")) out += Parts(catalogue, ansi);
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
           {{"--faults", "", "also what can be broken, and what that does"},
            {"--parts", "", "also what systems are made of: targets of load, configuration"}},
           "The labs, the question each answers, and how its last run ended",
           ""},
          &List};
}

}  // namespace lab::bench::cli
