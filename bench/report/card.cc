#include "bench/report/card.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/report/accounts.h"
#include "bench/report/text.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench {
namespace {

const std::vector<std::string>& RunFields() {
  static const auto* const fields = new std::vector<std::string>{
      "lab", "title", "seed", "command", "host", "cores", "revision", "started", "load", "noise", "verdict"};
  return *fields;
}

std::string HostText(const Run& run) {
  std::vector<std::string> facts;
  for (const char* key : {"cpu", "cores", "memory", "distribution"}) {
    const auto found = run.host.find(key);
    if (found == run.host.end() || found->second.empty()) continue;
    facts.push_back(std::string(key) == "cores" ? found->second + " cores" : found->second);
  }
  return facts.empty() ? "a host that is not described" : absl::StrJoin(facts, ", ");
}

std::string RunField(const std::string& field, const Report& report) {
  const Run& run = report.run;
  if (field == "lab") return run.lab;
  if (field == "title") return run.title;
  if (field == "seed") return absl::StrCat(run.seed);
  if (field == "command") return CommandLine(report);
  if (field == "host") return HostText(run);
  if (field == "cores") return run.host.count("cores") > 0 ? run.host.at("cores") : "?";
  if (field == "revision") return run.revision;
  if (field == "started") return run.started;
  if (field == "load") return report.load;
  if (field == "noise") {
    const std::string noise = NoiseLine(report);
    return noise.empty() ? "nothing was compared" : noise;
  }
  return StateWord(run.verdict.state);
}

// A lab without a card of its own: a line for each value that is shown.
std::string PlainCard(const Report& report) {
  std::string out = absl::StrCat("# Card: {{run.title}}\n\n**Question.** ", PrintableText(report.question), "\n\n");
  for (const ValueInfo& value : report.values) {
    if (value.label.empty()) continue;
    absl::StrAppend(&out, "**", PrintableText(value.label), "**");
    const char* separator = ": ";
    for (const VariantInfo& variant : VariantsThatRan(report)) {
      absl::StrAppend(&out, separator, variant.name, " {{", variant.name, ".", value.name, "}}");
      separator = ", ";
    }
    absl::StrAppend(&out, ".\n\n");
  }
  out.pop_back();
  return out;
}

std::string CardWithoutNumbers(const Report& report) {
  const std::vector<std::string> reasons = DistinctReasons(report.run);
  return absl::StrCat("# Card: ", PrintableText(report.run.title), "\n\n**No numbers.** ",
                      reasons.empty() ? "Nothing was measured" : PrintableText(reasons.front()), ".\n");
}

// What every card ends with: whoever quotes a number must be able to say where it comes from.
std::string Provenance(const Report& report) {
  std::string out =
      absl::StrCat("\n**Reproduce.** `", CommandLine(report), "` on ", PrintableText(HostText(report.run)),
                   ", revision ", report.run.revision, ": ", StateWord(report.run.verdict.state));
  for (const auto& [key, value] : report.run.changed) {
    absl::StrAppend(&out, ", with ", PrintableText(key), "=", PrintableText(value));
  }
  return out + ".\n";
}

// Fills in one placeholder; an error says what is wrong with it.
absl::StatusOr<std::string> Fill(const std::string& name, const Report& report) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) {
    return absl::InvalidArgumentError("a placeholder is \"variant.value\" or \"run.field\"");
  }
  const std::string owner = name.substr(0, dot), field = name.substr(dot + 1);
  if (owner == "run") {
    const auto& fields = RunFields();
    if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
      return absl::InvalidArgumentError(absl::StrCat("no such field of a run", Suggestion(field, fields)));
    }
    return PrintableText(RunField(field, report));
  }
  std::vector<std::string> variants, values;
  for (const VariantInfo& variant : report.variants) variants.push_back(variant.name);
  for (const ValueInfo& value : report.values) values.push_back(value.name);
  if (std::find(variants.begin(), variants.end(), owner) == variants.end()) {
    return absl::InvalidArgumentError(absl::StrCat("no such variant", Suggestion(owner, variants)));
  }
  if (std::find(values.begin(), values.end(), field) == values.end()) {
    return absl::InvalidArgumentError(absl::StrCat("no such value", Suggestion(field, values)));
  }
  const Measured* measured = FindValue(report, owner, field);
  if (measured == nullptr || !measured->value) return std::string("not measured");
  return ValueText(report, owner, field);
}

}  // namespace

absl::StatusOr<std::string> RenderCard(const std::string& text, const std::string& file, const Report& report) {
  std::string out;
  std::vector<std::string> errors;
  int line = 1;
  size_t at = 0;
  while (at < text.size()) {
    const size_t open = std::min(text.find("{{", at), text.size());
    out += text.substr(at, open - at);
    line += static_cast<int>(std::count(text.begin() + at, text.begin() + open, '\n'));
    if (open == text.size()) break;
    const size_t close = text.find("}}", open);
    if (close == std::string::npos || text.substr(open, close - open).find('\n') != std::string::npos) {
      errors.push_back(absl::StrCat(file, ":", line, ": \"{{\" is not closed on its line"));
      at = open + 2;
      continue;
    }
    const std::string name(absl::StripAsciiWhitespace(text.substr(open + 2, close - open - 2)));
    const absl::StatusOr<std::string> filled = Fill(name, report);
    if (filled.ok()) {
      out += *filled;
    } else {
      errors.push_back(absl::StrCat(file, ":", line, ": {{", name, "}}: ", filled.status().message()));
    }
    at = close + 2;
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  return out;
}

absl::StatusOr<std::string> CardOf(const Report& report, const std::string& text, const std::string& file) {
  if (!AnythingMeasured(report)) return CardWithoutNumbers(report) + Provenance(report);
  const absl::StatusOr<std::string> body = RenderCard(text.empty() ? PlainCard(report) : text, file, report);
  if (!body.ok()) return body;
  // A comparison without its noise is half of one: a card that does not place it itself ends with it.
  const std::string noise = NoiseLine(report);
  const bool placed = noise.empty() || body->find(noise) != std::string::npos;
  return absl::StrCat(*body, placed ? "" : absl::StrCat("\n**Noise.** ", noise, ".\n"), Provenance(report));
}

absl::Status CheckCard(const std::string& text, const std::string& file, const Lab& lab) {
  return RenderCard(text, file, MakeReport(lab, Run())).status();
}

}  // namespace lab::bench
