#include "bench/report/exploration.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/report/text.h"

namespace lab::bench {
namespace {

// One variant, by its first trial that explored.
struct Mode {
  const VariantInfo* variant;
  const Exploration* explored;
};

struct Overview {
  std::vector<VariantInfo> variants;  // modes point into it
  std::vector<Mode> modes;
  std::map<int, std::string> races;  // that are told of, by number
};

const Exploration* Of(const Report& report, const std::string& variant) {
  for (const Trial& trial : report.run.trials) {
    if (trial.variant == variant && trial.exploration) return &*trial.exploration;
  }
  return nullptr;
}

Overview OverviewOf(const Report& report) {
  Overview overview;
  overview.variants = VariantsThatRan(report);
  for (const VariantInfo& variant : overview.variants) {
    const Exploration* explored = Of(report, variant.name);
    if (explored == nullptr) continue;
    overview.modes.push_back({&variant, explored});
    for (const RaceExpected& cell : explored->expected) overview.races[cell.race] = cell.name;
    for (const RaceFound& race : explored->races) overview.races[race.race] = race.name;
  }
  return overview;
}

const RaceFound* FindRace(const Exploration& explored, int number) {
  for (const RaceFound& race : explored.races) {
    if (race.race == number) return &race;
  }
  return nullptr;
}

const RaceExpected* FindExpected(const Exploration& explored, int number) {
  for (const RaceExpected& cell : explored.expected) {
    if (cell.race == number) return &cell;
  }
  return nullptr;
}

// "open", "closed"; with "!" where the matrix says otherwise.
std::string CellText(const Exploration& explored, int race) {
  const bool open = FindRace(explored, race) != nullptr;
  const RaceExpected* expected = FindExpected(explored, race);
  const bool contrary =
      !explored.replay && !explored.expected.empty() && open != (expected != nullptr && expected->open);
  return absl::StrCat(open ? "open" : explored.replay ? "" : "-", contrary ? "!" : "");
}

std::string CountText(const Exploration& explored) {
  uint64_t infeasible = 0;
  for (const CastExplored& cast : explored.casts) infeasible += cast.infeasible;
  return absl::StrCat(WithCommas(explored.schedules()),
                      infeasible > 0 ? absl::StrCat(" (", WithCommas(infeasible), " infeasible)") : "");
}

std::string RaceTitle(int number, const std::string& name) {
  return number == 0 ? absl::StrCat("an offence without a number (", name, ")")
                     : absl::StrCat("race ", number, ", ", name);
}

std::string Table(const Overview& overview, const Ansi& ansi) {
  int name_width = 4, count_width = 9;
  for (const Mode& mode : overview.modes) {
    name_width = std::max(name_width, DisplayWidth(mode.variant->name));
    count_width = std::max(count_width, DisplayWidth(CountText(*mode.explored)));
  }
  std::string head = absl::StrCat(" ", PadRight("race", name_width));
  for (const auto& [race, name] : overview.races) absl::StrAppend(&head, " ", PadLeft(absl::StrCat(race), 5));
  absl::StrAppend(&head, "   ", "schedules");
  std::string out = ansi.Bold(head) + "\n";
  for (const Mode& mode : overview.modes) {
    absl::StrAppend(&out, " ", PadRight(PrintableText(mode.variant->name), name_width));
    for (const auto& [race, name] : overview.races) {
      const std::string cell = PadLeft(CellText(*mode.explored, race), 5);
      const bool open = FindRace(*mode.explored, race) != nullptr;
      absl::StrAppend(&out, " ", open ? ansi.ByState(State::kFail, cell) : ansi.Dim(cell));
    }
    absl::StrAppend(&out, "   ", CountText(*mode.explored), "\n");
  }
  return out;
}

std::string Indented(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) absl::StrAppend(&out, "     ", PrintableText(line), "\n");
  return out;
}

std::string Heading(const RaceFound& race) {
  return absl::StrCat(RaceTitle(race.race, race.name), ": ", WithCommas(race.schedules),
                      race.schedules == 1 ? " schedule" : " schedules", ", the shortest of them: ", race.offence);
}

}  // namespace

std::string ExplorationLines(const Report& report, int width, const Ansi& ansi) {
  const Overview overview = OverviewOf(report);
  if (overview.modes.empty()) return "";
  std::string out;
  const bool replay = overview.modes.front().explored->replay;
  if (!replay) out = Table(overview, ansi);
  for (const Mode& mode : overview.modes) {
    const bool drawn = overview.modes.size() == 1 || mode.variant->broken;
    if (mode.explored->replay) {
      absl::StrAppend(&out, " ", ansi.Bold(PrintableText(mode.variant->name)), "\n", Indented(mode.explored->replayed));
      for (const RaceFound& race : mode.explored->races) {
        out += Wrap(absl::StrCat("   ", RaceTitle(race.race, race.name), ": ", race.offence), width, 5);
      }
      if (mode.explored->races.empty()) absl::StrAppend(&out, "   nothing is wrong with this schedule\n");
      continue;
    }
    if (!drawn || mode.explored->races.empty()) continue;
    absl::StrAppend(&out, "\n ", ansi.Bold(PrintableText(mode.variant->name)), "\n");
    for (const RaceFound& race : mode.explored->races) {
      out += Wrap("   " + Heading(race), width, 5);
      out += Indented(race.diagram);
      absl::StrAppend(&out, "     --schedule \"", race.schedule, "\"\n");
    }
  }
  return out;
}

std::string ExplorationMarkdown(const Report& report) {
  const Overview overview = OverviewOf(report);
  if (overview.modes.empty()) return "";
  std::string out =
      "\n## Races\n\nWhich race is open in which variant, over all interleavings of the casts; \"!\": the "
      "matrix says otherwise.\n\n| variant |";
  std::string rule = "|---|";
  for (const auto& [race, name] : overview.races) {
    absl::StrAppend(&out, " ", race, " |");
    rule += "---|";
  }
  absl::StrAppend(&out, " schedules |\n", rule, "---:|\n");
  for (const Mode& mode : overview.modes) {
    absl::StrAppend(&out, "| ", EscapeMarkdown(mode.variant->name), " |");
    for (const auto& [race, name] : overview.races) {
      absl::StrAppend(&out, " ", EscapeMarkdown(CellText(*mode.explored, race)), " |");
    }
    absl::StrAppend(&out, " ", CountText(*mode.explored), " |\n");
  }
  out += "\n";
  for (const auto& [race, name] : overview.races) absl::StrAppend(&out, "- ", race, ": ", EscapeMarkdown(name), "\n");
  for (const Mode& mode : overview.modes) {
    if (!mode.explored->races.empty() || mode.explored->replay) {
      absl::StrAppend(&out, "\n### ", EscapeMarkdown(mode.variant->name), "\n");
    }
    if (mode.explored->replay)
      absl::StrAppend(&out, "\n```\n", absl::StrJoin(mode.explored->replayed, "\n"), "\n```\n");
    for (const RaceFound& race : mode.explored->races) {
      const RaceExpected* expected = FindExpected(*mode.explored, race.race);
      absl::StrAppend(&out, "\n", EscapeMarkdown(Heading(race)),
                      expected == nullptr ? "" : absl::StrCat(". Derived: ", EscapeMarkdown(expected->because)),
                      "\n\n```\n", absl::StrJoin(race.diagram, "\n"), "\n\n", race.schedule, "\n```\n");
    }
  }
  return out;
}

std::string ExplorationHtml(const Report& report) {
  const Overview overview = OverviewOf(report);
  if (overview.modes.empty()) return "";
  std::string out =
      "<section id=\"races\"><h2>Races</h2>\n<p class=\"hint\">Which race is open in which variant, over all "
      "interleavings of the casts. An exclamation mark: the matrix says otherwise.</p>\n<div class=\"scroll\" "
      "tabindex=\"0\"><table class=\"numbers\"><thead><tr><th scope=\"col\">variant</th>";
  for (const auto& [race, name] : overview.races) {
    absl::StrAppend(&out, "<th scope=\"col\" title=\"", EscapeHtml(name), "\">", race, "</th>");
  }
  out += "<th scope=\"col\">schedules</th></tr></thead><tbody>\n";
  for (const Mode& mode : overview.modes) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", EscapeHtml(mode.variant->name), "</th>");
    for (const auto& [race, name] : overview.races) {
      const RaceExpected* expected = FindExpected(*mode.explored, race);
      absl::StrAppend(&out, "<td title=\"", expected == nullptr ? "" : EscapeHtml(expected->because), "\">",
                      EscapeHtml(CellText(*mode.explored, race)), "</td>");
    }
    absl::StrAppend(&out, "<td>", EscapeHtml(CountText(*mode.explored)), "</td></tr>\n");
  }
  out += "</tbody></table></div>\n<ul>";
  for (const auto& [race, name] : overview.races) absl::StrAppend(&out, "<li>", race, ": ", EscapeHtml(name), "</li>");
  out += "</ul>\n";
  for (const Mode& mode : overview.modes) {
    if (mode.explored->races.empty() && !mode.explored->replay) continue;
    absl::StrAppend(&out, "<h3>", EscapeHtml(mode.variant->name), "</h3>\n");
    if (mode.explored->replay) {
      absl::StrAppend(&out, "<pre tabindex=\"0\">", EscapeHtml(absl::StrJoin(mode.explored->replayed, "\n")),
                      "</pre>\n");
    }
    for (const RaceFound& race : mode.explored->races) {
      absl::StrAppend(&out, "<p>", EscapeHtml(Heading(race)), "</p>\n<pre tabindex=\"0\">",
                      EscapeHtml(absl::StrJoin(race.diagram, "\n")), "\n\n", EscapeHtml(race.schedule), "</pre>\n");
    }
  }
  return out + "</section>\n";
}

}  // namespace lab::bench
