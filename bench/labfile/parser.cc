#include <algorithm>
#include <filesystem>
#include <set>

#include "bench/labfile/lab.h"
#include "bench/labfile/parsing.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

// What booting and draining one trial may take; counted into the budget.
constexpr Nanos kBootAllowance = std::chrono::seconds(1);
constexpr int kMaxRepeats = 20;
constexpr size_t kMaxLabBytes = 1 << 20;

void ReadHead(const yaml::Value& root, const Catalogue& catalogue, Lab& lab) {
  const yaml::Value name = root.Required("lab");
  lab.name = name.String();
  const std::string folder = std::filesystem::path(lab.file).parent_path().filename().string();
  if (name.defined() && !folder.empty() && folder != lab.name) {
    name.Error(Concat("\"", lab.name, "\" is not the name of its folder, \"", folder, "\""));
  }
  lab.title = root.Required("title").String();
  lab.question = root.Optional("question").String();
  for (const yaml::Value& answer : root.Optional("answers").List()) lab.answers.push_back(answer.String());
  std::vector<std::string> known = catalogue.not_here;
  for (const auto& [kind, knobs] : catalogue.knobs) known.push_back(kind);
  for (const yaml::Value& need : root.Optional("needs").List()) {
    const std::string text = need.String();
    if (std::find(known.begin(), known.end(), text) == known.end()) {
      need.Error(Concat("unknown need \"", text, "\"", Suggestion(text, known)));
    }
    lab.needs.push_back(text);
  }
  const yaml::Value budget = root.Optional("budget");
  const Nanos most = std::chrono::hours(1);
  lab.budget_run = budget.Optional("run").Duration(std::chrono::seconds(1), most, lab.budget_run);
  lab.budget_quick = budget.Optional("quick").Duration(std::chrono::seconds(1), most, lab.budget_quick);
  RefuseEmpty(budget, !budget.Optional("run").defined() && !budget.Optional("quick").defined(),
              "names no time; write {run: 3m, quick: 45s}, or leave it out");
  if (budget.defined()) budget.Finish();
  lab.private_network = root.Optional("network").OneOf({"host", "private"}, 0) == 1;
  lab.repeat = static_cast<int>(root.Optional("repeat").Int(1, kMaxRepeats, 1));
}

void ReadValues(const yaml::Value& values, Reading& reading) {
  for (const auto& [name, entry] : values.Entries()) {
    ValueSpec value;
    value.name = name;
    value.line = entry.line();
    CheckName(entry, name, true);
    yaml::Value is = entry;
    if (entry.is_map()) {
      is = entry.Required("is");
      value.show = entry.Optional("show").String();
      entry.Finish();
    }
    value.expression = is.String();
    if (is.defined()) reading.expressions.push_back({is, value.expression, ExpressionUse::kValue});
    reading.lab.values.push_back(std::move(value));
  }
}

void ReadPredictions(const yaml::Value& predict, Reading& reading) {
  std::set<std::string> ids;
  for (const yaml::Value& entry : predict.List()) {
    PredictSpec question;
    question.line = entry.line();
    const yaml::Value id = entry.Required("id");
    question.id = id.String();
    CheckName(id, question.id, true);
    if (!ids.insert(question.id).second) id.Error("is asked twice");
    question.ask = entry.Required("ask").String();
    question.unit = entry.Optional("unit").String();
    const yaml::Value value = entry.Required("value");
    question.value = value.String();
    if (value.defined()) reading.expressions.push_back({value, question.value, ExpressionUse::kPrediction});
    entry.Finish();
    reading.lab.predict.push_back(std::move(question));
  }
}

std::vector<ExpectSpec> ReadComparisons(const yaml::Value& section, Reading& reading) {
  std::vector<ExpectSpec> comparisons;
  for (const auto& [name, text] : section.Entries()) {
    CheckName(text, name, true);
    comparisons.push_back({name, text.String(), text.line()});
    reading.expressions.push_back({text, text.String(), ExpressionUse::kExpectation});
  }
  return comparisons;
}

void ReadRules(const yaml::Value& expect, const yaml::Value& invariants, Reading& reading) {
  reading.lab.expect = ReadComparisons(expect, reading);
  for (const yaml::Value& entry : invariants.List()) {
    const std::string text = entry.String();
    const std::string name = text.substr(0, text.find('{'));
    const std::vector<std::string>& known = reading.catalogue.invariants;
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      entry.Error(Concat("unknown invariant \"", name, "\"", Suggestion(name, known)));
    } else {
      reading.expressions.push_back({entry, text, ExpressionUse::kInvariant});
    }
    reading.lab.invariants.push_back(text);
  }
  RefuseEmpty(invariants, reading.lab.invariants.empty(), "names no invariant; leave it out");
  if (reading.lab.expect.empty() && reading.lab.invariants.empty()) {
    expect.Error("nothing is expected: a run of this lab could prove nothing");
  }
}

// Whether an expectation says something about this variant.
bool SpeaksOf(const std::string& expression, const std::string& variant) {
  for (const std::string& name : {std::string("each"), variant}) {
    for (size_t at = expression.find(name + "."); at != std::string::npos; at = expression.find(name + ".", at + 1)) {
      const char before = at == 0 ? ' ' : expression[at - 1];
      if (!std::isalnum(static_cast<unsigned char>(before)) && before != '-' && before != '_' && before != '.')
        return true;
    }
  }
  return false;
}

void CheckCaughtBy(const Lab& lab, const VariantSpec& variant, const yaml::Value& place) {
  if (!variant.broken) {
    if (!variant.caught_by.empty()) place.Error("caught_by is only for a variant with \"control: broken\"");
    return;
  }
  std::vector<std::string> rules;
  for (const ExpectSpec& rule : lab.expect) rules.push_back(rule.name);
  for (const std::string& rule : lab.invariants) rules.push_back(rule.substr(0, rule.find('{')));
  if (variant.caught_by.empty()) {
    place.Error("a broken variant says which expectation or invariant must catch it, with caught_by:");
    return;
  }
  if (std::find(rules.begin(), rules.end(), variant.caught_by) == rules.end()) {
    place.Error(Concat("caught_by: unknown expectation or invariant \"", variant.caught_by, "\"",
                       Suggestion(variant.caught_by, rules)));
    return;
  }
  for (const ExpectSpec& rule : lab.expect) {
    if (rule.name == variant.caught_by && !SpeaksOf(rule.expression, variant.name)) {
      place.Error(Concat("caught_by: \"", rule.name, "\" says nothing about this variant; write each.… or ",
                         variant.name, ".…"));
    }
  }
}

void CheckReference(const yaml::Value& place, const Reading& reading) {
  const Lab& lab = reading.lab;
  if (!place.defined()) return;
  for (const VariantSpec& variant : lab.variants) {
    if (variant.name != lab.reference) continue;
    if (variant.broken) place.Error("a broken variant cannot be the reference");
    return;
  }
  const auto names = NamesOf(lab.variants, [](const VariantSpec& variant) { return variant.name; });
  place.Error(Concat("unknown variant \"", lab.reference, "\"", Suggestion(lab.reference, names)));
}

void CheckVariants(const yaml::Value& reference, Reading& reading) {
  const Lab& lab = reading.lab;
  const auto loads = NamesOf(lab.load, [](const LoadSpec& load) { return load.name; });
  for (size_t i = 0; i < lab.variants.size(); ++i) {
    const yaml::Value& place = reading.variant_places[i];
    CheckCaughtBy(lab, lab.variants[i], place);
    for (const auto& [load, fields] : lab.variants[i].request) {
      if (std::find(loads.begin(), loads.end(), load) == loads.end()) {
        place.Error(Concat("request: unknown load \"", load, "\"", Suggestion(load, loads)));
      }
    }
    for (const auto& [load, retries] : lab.variants[i].retries) {
      if (std::find(loads.begin(), loads.end(), load) == loads.end()) {
        place.Error(Concat("retries: unknown load \"", load, "\"", Suggestion(load, loads)));
      }
    }
  }
  CheckReference(reference, reading);
}

void CheckBudget(const yaml::Value& place, const Lab& lab, bool quick) {
  Nanos one = kBootAllowance;
  for (const PhaseSpec& phase : PhasesOf(lab, quick)) one += phase.length;
  const int64_t arms = static_cast<int64_t>(lab.variants.size()) + (lab.compares && !quick ? 1 : 0);
  const int64_t trials = arms * (quick ? 1 : lab.repeat);
  const bool calibrated = UsesKnee(lab) && !(quick && lab.knee && lab.knee->quick_per_s > 0);
  const Nanos total = one * trials + (calibrated ? kKneeAllowance : Nanos(0));
  const Nanos budget = quick ? lab.budget_quick : lab.budget_run;
  if (total <= budget) return;
  place.Error(Concat(quick ? "the quick run" : "the run", " takes ", FormatDuration(total), " (", trials, " trials of ",
                     FormatDuration(one), ", boot included",
                     lab.compares && !quick ? ", the reference twice to show the noise" : "",
                     calibrated ? Concat(", and ", FormatDuration(kKneeAllowance), " for the knee") : "",
                     "), more than its budget of ", FormatDuration(budget)));
}

// Each load as each variant sends it.
void CheckLoads(const Reading& reading) {
  if (reading.catalogue.check_load == nullptr) return;
  for (size_t i = 0; i < reading.lab.load.size(); ++i) {
    const LoadSpec& declared = reading.lab.load[i];
    std::string told;
    for (size_t v = 0; v < reading.lab.variants.size(); ++v) {
      const VariantSpec& variant = reading.lab.variants[v];
      LoadSpec load = declared;
      const auto changed = variant.request.find(load.name);
      const bool own = changed != variant.request.end();
      if (own) {
        for (const auto& [field, value] : changed->second) load.request[field] = value;
      }
      const std::string error = reading.catalogue.check_load(load, reading.lab.phases);
      if (error.empty() || error == told) continue;
      told = error;
      (own ? reading.variant_places[v] : reading.load_places[i]).Error(error);
    }
  }
}

// A question asked in ms is answered by a time. Said as a comparison, so that the one check of units serves both.
std::string PredictionUnitError(const Reading& reading, const PredictSpec& question) {
  const bool plain = UnitNamed(question.unit).unit.label.empty();  // "", or a name such as "loads"
  const std::string one = plain ? "1" : Concat("1", question.unit);
  const std::string comparison = Concat(question.value, " >= ", one);
  const std::string error = reading.catalogue.check_expression(reading.lab, comparison, ExpressionUse::kExpectation);
  return error.empty() ? "" : Concat("unit \"", question.unit, "\" does not fit ", question.value, ": ", error);
}

void CheckExpressions(Reading& reading) {
  if (reading.catalogue.check_expression == nullptr) return;
  // A fault that could not be read has an error of its own, and might begin in any phase: what asks for one there is
  // not wrong on top of it.
  if (reading.faults_unclear) {
    for (const PhaseSpec& phase : reading.lab.phases) {
      reading.lab.faults.emplace_back();
      reading.lab.faults.back().phase = phase.name;
    }
  }
  for (const Reading::Late& late : reading.expressions) {
    std::string error = reading.catalogue.check_expression(reading.lab, late.text, late.use);
    if (error.empty() && late.use == ExpressionUse::kPrediction) {
      for (const PredictSpec& question : reading.lab.predict) {
        if (question.value == late.text && error.empty()) error = PredictionUnitError(reading, question);
      }
    }
    if (!error.empty()) late.place.Error(error);
  }
}

}  // namespace

bool IsName(std::string_view text, bool hyphen) {
  if (text.empty() || text.size() > 64 || text[0] < 'a' || text[0] > 'z') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    // A hyphen stands between two other characters: anything else would read as a minus.
    const bool inner = c == '-' && hyphen && i + 1 < text.size() && text[i + 1] != '-';
    if (!letter && !inner) return false;
  }
  return true;
}

void CheckName(const yaml::Value& place, const std::string& name, bool hyphen) {
  if (IsName(name, hyphen)) return;
  place.Error(Concat("\"", name.substr(0, 40), "\" is no name; names are lower-case letters, digits, \"_\"",
                     hyphen ? " and \"-\"" : "", ", and begin with a letter"));
}

void RefuseEmpty(const yaml::Value& section, bool empty, std::string_view remedy) {
  // Of another type altogether: that has been said.
  if (section.defined() && empty && (section.is_null() || section.is_map() || section.is_list())) section.Error(remedy);
}

std::vector<std::string> PhaseNames(const Lab& lab) {
  return NamesOf(lab.phases, [](const PhaseSpec& phase) { return phase.name; });
}

std::vector<std::string> PartNames(const Lab& lab) {
  return NamesOf(lab.system, [](const PartSpec& part) { return part.name; });
}

const PartSpec* FindPart(const Lab& lab, std::string_view name) {
  for (const PartSpec& part : lab.system) {
    if (part.name == name) return &part;
  }
  return nullptr;
}

absl::StatusOr<Lab> ParseLab(const std::string& text, const std::string& file, const Catalogue& catalogue) {
  yaml::Document document(text, file);
  const yaml::Value root = document.root();
  if (!document.ok()) return document.status();
  Reading reading{catalogue, {}, {}, {}, {}};
  reading.lab.file = file;
  ReadHead(root, reading.catalogue, reading.lab);
  ReadSystem(root.Required("system"), reading);
  const yaml::Value links = root.Optional("links");
  ReadLinks(links, reading);
  const yaml::Value phases = root.Required("phases");
  ReadPhases(phases, root.Optional("quick"), reading);
  const yaml::Value reference = root.Required("reference");
  reading.lab.reference = reference.String();
  ReadVariants(root.Required("variants"), reading);
  ReadKnee(root.Optional("knee"), reading);
  const yaml::Value explore = root.Optional("explore");
  ReadExplore(explore, reading);
  ReadLoads(explore.defined() ? root.Optional("load") : root.Required("load"), reading);
  CheckLinks(links, reading);
  ReadFaults(root.Optional("faults"), reading);
  ReadValues(root.Optional("values"), reading);
  ReadPredictions(root.Optional("predict"), reading);
  reading.lab.steady = ReadComparisons(root.Optional("steady"), reading);
  ReadRules(root.Optional("expect"), root.Optional("invariants"), reading);
  root.Finish();
  CheckVariants(reference, reading);
  reading.lab.compares = catalogue.comparisons != nullptr && catalogue.comparisons(reading.lab) > 0;
  CheckBudget(phases, reading.lab, false);
  CheckBudget(root.Optional("quick").defined() ? root.Optional("quick") : phases, reading.lab, true);
  CheckExpressions(reading);
  CheckLoads(reading);
  CheckExplore(explore, reading);
  if (!document.ok()) return document.status();
  return std::move(reading.lab);
}

absl::StatusOr<Lab> LoadLab(const std::string& file, const Catalogue& catalogue) {
  std::error_code error;
  if (const auto bytes = std::filesystem::file_size(file, error); !error && bytes > kMaxLabBytes) {
    return absl::InvalidArgumentError(Concat(file, ": has ", bytes, " bytes, a lab file at most ", kMaxLabBytes,
                                             "; shorten it (arrivals from a list belong into a file for replay:)"));
  }
  const absl::StatusOr<std::string> text = ReadFile(file, kMaxLabBytes);
  if (!text.ok()) return text.status();
  return ParseLab(*text, file, catalogue);
}

std::vector<std::string> LabNames(const std::string& root) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root + "/labs", error)) {
    const std::string name = entry.path().filename().string();
    if (std::filesystem::is_regular_file(LabFile(root, name), error)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string LabFile(const std::string& root, const std::string& lab) { return root + "/labs/" + lab + "/lab.yaml"; }

}  // namespace lab::bench
