#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bench/cli/run_request.h"

namespace lab::bench::cli {
namespace {

constexpr int kBlocks = 5;
constexpr size_t kMaxValues = 24;

using Errors = std::vector<std::string>;

// The one --set with several values, taken out of `arguments`; "" when there is none.
std::string TakeSwept(Arguments& arguments, Errors& errors) {
  std::vector<std::string> swept, rest;
  for (const std::string& text : arguments.All("--set")) {
    const size_t equals = text.find('=');
    const bool several = equals != std::string::npos && text.find(',', equals) != std::string::npos;
    (several ? swept : rest).push_back(text);
  }
  if (swept.empty()) errors.push_back("nothing to sweep; name one knob and its values, as --set part.key=2ms,5ms,20ms");
  if (swept.size() > 1) {
    errors.push_back(absl::StrCat("one knob a sweep; these have several values: ", absl::StrJoin(swept, "  ")));
  }
  arguments.options["--set"] = rest;
  if (rest.empty()) arguments.options.erase("--set");
  return swept.empty() ? "" : swept.front();
}

// The program that the part is run by whatever the knob is; "" for those of the lab.
std::string BinaryOf(const SweepRequest& request, const SweepPlan& plan) {
  const auto set = request.options.set.find(plan.part);
  if (set == request.options.set.end()) return "";
  const auto binary = set->second.find("binary");
  return binary == set->second.end() ? "" : binary->second;
}

void ReadPlan(const std::string& text, const Lab& lab, const Catalogue& catalogue, SweepRequest& request,
              Errors& errors) {
  const auto assignment = SplitAssignment("--set", text);
  if (!assignment.ok()) {
    errors.emplace_back(assignment.status().message());
    return;
  }
  const auto& [path, values] = *assignment;
  const size_t dot = path.find('.');
  if (dot == std::string::npos) {
    errors.push_back(absl::StrCat("--set takes part.key=a,b,c, not \"", text, "\""));
    return;
  }
  SweepPlan& plan = request.plan;
  plan.part = path.substr(0, dot);
  plan.key = path.substr(dot + 1);
  for (const absl::string_view one : absl::StrSplit(values, ',')) {
    std::string value(absl::StripAsciiWhitespace(one));
    if (plan.key == "binary") value = BinaryPath("", value);
    if (std::find(plan.values.begin(), plan.values.end(), value) != plan.values.end()) {
      errors.push_back(absl::StrCat("--set ", path, ": \"", value, "\" stands there twice"));
      continue;
    }
    plan.values.push_back(value);
    const absl::Status checked =
        CheckSet(lab, catalogue, plan.part, plan.key, value, plan.key == "binary" ? value : BinaryOf(request, plan));
    const std::string error(checked.message());
    // An unknown part or key is wrong with every value in the same words.
    if (!checked.ok() && std::find(errors.begin(), errors.end(), error) == errors.end()) errors.push_back(error);
  }
  if (plan.values.size() > kMaxValues) errors.push_back(absl::StrCat("at most ", kMaxValues, " values a sweep"));
}

SweepKnob Describe(const SweepPlan& plan, const Lab& lab, const Catalogue& catalogue) {
  SweepKnob knob{plan.part, plan.key, "", ""};
  for (const PartSpec& part : lab.system) {
    const auto knobs = catalogue.knobs.find(part.kind.empty() ? part.name : part.kind);
    if (part.name != plan.part || knobs == catalogue.knobs.end()) continue;
    for (const Catalogue::Knob& one : knobs->second) {
      if (one.path != plan.key) continue;
      knob.type = one.type;
      knob.doc = one.doc;
    }
  }
  return knob;
}

}  // namespace

absl::StatusOr<SweepRequest> ReadSweepRequest(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue) {
  SweepRequest request;
  Errors errors;
  Arguments rest = arguments;
  const std::string swept = TakeSwept(rest, errors);
  const absl::StatusOr<RunOptions> options = ReadRunOptions(rest, lab, catalogue);
  if (options.ok()) {
    request.options = *options;
  } else {
    errors.emplace_back(options.status().message());
  }
  if (!swept.empty()) ReadPlan(swept, lab, catalogue, request, errors);
  const auto fixed = request.options.set.find(request.plan.part);
  if (fixed != request.options.set.end() && fixed->second.contains(request.plan.key)) {
    errors.push_back(absl::StrCat("--set ", request.plan.part, ".", request.plan.key, ": swept, and fixed too"));
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  if (!arguments.Has("--repeat")) request.options.repeat = request.options.quick ? 1 : kBlocks;
  if (request.options.variants.empty()) request.options.variants = {lab.reference};
  request.knob = Describe(request.plan, lab, catalogue);
  return request;
}

}  // namespace lab::bench::cli
