#include "bench/cli/compare_runs.h"

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/cli/table.h"
#include "bench/judge/judge.h"
#include "bench/report/text.h"

namespace lab::bench::cli {
namespace {

constexpr char kCaution[] =
    "Runs of different times are no comparison that the bench defends: whatever else changed on the host between them "
    "is "
    "in the ratio too. For one that it does, make both designs variants of one lab file and let one run compare them.";

using Facts = std::map<std::string, std::string>;

// A path of this run's own folder is another one in each run, and says nothing.
bool IsPath(const std::string& value) { return absl::StartsWith(value, "/"); }

// What the parts of each variant were configured to, beyond their defaults.
Facts Configuration(const Report& report) {
  Facts facts;
  for (const auto& [key, value] : report.run.changed) facts["--set " + key] = value;
  for (const Trial& trial : report.run.trials) {
    for (const PartInfo& part : trial.parts) {
      for (const auto& [key, value] : part.changed) {
        if (!IsPath(value)) facts[absl::StrCat(trial.variant, " ", part.name, ".", key)] = value;
      }
      if (part.version != part.kind && !part.version.empty()) facts["version of " + part.name] = part.version;
    }
  }
  return facts;
}

// "load", "seed" and the like; "quick" decides how long the phases are.
Facts Conditions(const Report& report) {
  return {{"revision", report.run.revision},
          {"load", report.load},
          {"seed", absl::StrCat(report.run.seed)},
          {"kind of run", report.run.quick ? "quick" : "full"}};
}

struct Differing {
  std::string what, before, after;
};

void Collect(const Facts& before, const Facts& after, const std::string& prefix, std::vector<Differing>& list) {
  std::set<std::string> keys;
  for (const auto& [key, value] : before) keys.insert(key);
  for (const auto& [key, value] : after) keys.insert(key);
  for (const std::string& key : keys) {
    const auto of = [&](const Facts& facts) { return facts.contains(key) ? facts.at(key) : std::string("–"); };
    if (of(before) != of(after)) list.push_back({prefix + key, of(before), of(after)});
  }
}

std::vector<Differing> Differences(const Report& before, const Report& after) {
  std::vector<Differing> list;
  Collect(before.run.host, after.run.host, "host, ", list);
  Collect(Conditions(before), Conditions(after), "", list);
  Collect(Configuration(before), Configuration(after), "", list);
  // The same name for another computation is no value to compare.
  Facts was, is;
  for (const ValueInfo& value : before.values) was[value.name] = value.expression;
  for (const ValueInfo& value : after.values) is[value.name] = value.expression;
  Collect(was, is, "value ", list);
  return list;
}

struct Row {
  const Measured* before = nullptr;
  const Measured* after = nullptr;
  std::optional<double> ratio;
};

std::optional<double> RatioOf(const Measured* before, const Measured* after) {
  if (before == nullptr || after == nullptr || !before->value || !after->value) return std::nullopt;
  // What was cut off is not known, and units may have changed with the expression.
  if (before->at_least || after->at_least || before->unit != after->unit || *before->value == 0) return std::nullopt;
  return *after->value / *before->value;
}

std::vector<Row> Values(const Report& before, const Report& after) {
  std::vector<Row> rows;
  for (const Measured& one : before.run.verdict.values) {
    const Measured* other = FindValue(after, one.variant, one.name);
    rows.push_back({&one, other, RatioOf(&one, other)});
  }
  for (const Measured& one : after.run.verdict.values) {
    if (FindValue(before, one.variant, one.name) == nullptr) rows.push_back({nullptr, &one, std::nullopt});
  }
  return rows;
}

std::string Text(const Measured* measured) { return measured == nullptr ? "–" : FormatMeasured(*measured); }

std::string Headline(const Run& run) {
  return absl::StrCat(PrintableText(run.started.substr(0, 19)), " ", StateWord(run.verdict.state));
}

}  // namespace

std::string CompareRunsText(const Report& before, const Report& after, const Ansi& ansi) {
  std::string out = absl::StrCat(ansi.Bold(PrintableText(before.run.lab)), "\n");
  std::vector<std::vector<std::string>> rows = {
      {"variant", "value", Headline(before.run), Headline(after.run), "ratio"}};
  for (const Row& row : Values(before, after)) {
    const Measured& any = row.before != nullptr ? *row.before : *row.after;
    rows.push_back({PrintableText(any.variant), PrintableText(any.name), Text(row.before), Text(row.after),
                    row.ratio ? absl::StrFormat("%.3gx", *row.ratio) : "–"});
  }
  out += TableText(rows, ansi);
  const std::vector<Differing> differences = Differences(before, after);
  if (differences.empty()) {
    absl::StrAppend(&out, "\n  same host, revision, load and configuration\n");
  } else {
    rows = {{"what else differs", "", ""}};
    for (const Differing& one : differences) {
      rows.push_back({PrintableText(one.what), PrintableText(one.before), PrintableText(one.after)});
    }
    absl::StrAppend(&out, "\n", TableText(rows, ansi));
  }
  return absl::StrCat(out, "\n  ", kCaution, "\n");
}

std::string CompareRunsJson(const Report& before, const Report& after) {
  using Json = nlohmann::ordered_json;
  const auto number = [](const Measured* measured) {
    return measured != nullptr && measured->value ? Json(*measured->value) : Json(nullptr);
  };
  Json values = Json::array(), differing = Json::array();
  for (const Row& row : Values(before, after)) {
    const Measured& any = row.before != nullptr ? *row.before : *row.after;
    values.push_back({{"variant", any.variant},
                      {"name", any.name},
                      {"unit", any.unit},
                      {"before", number(row.before)},
                      {"after", number(row.after)},
                      {"ratio", row.ratio ? Json(*row.ratio) : Json(nullptr)}});
  }
  for (const Differing& one : Differences(before, after)) {
    differing.push_back({{"what", one.what}, {"before", one.before}, {"after", one.after}});
  }
  const Json json = {{"lab", before.run.lab}, {"before", before.run.folder}, {"after", after.run.folder},
                     {"values", values},      {"differing", differing},      {"caution", kCaution}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace lab::bench::cli
