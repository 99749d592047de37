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

constexpr const char* kBinary = "binary";

using Errors = std::vector<std::string>;

// What is wrong with several values, or in several programs, in the same words is told once.
void AddOnce(const absl::Status& status, Errors& errors) {
  std::string error(status.message());
  if (!status.ok() && std::find(errors.begin(), errors.end(), error) == errors.end()) {
    errors.push_back(std::move(error));
  }
}

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

// Where the program itself is swept: what else is set of its part, taken out of `arguments`, for it is no matter of the
// lab's own program. What is no setting stays, and ReadRunOptions tells it.
std::vector<Setting> TakeOfPrograms(const std::string& swept, Arguments& arguments) {
  std::vector<Setting> taken;
  const absl::StatusOr<Setting> knob = SplitSetting(swept);
  if (!knob.ok() || knob->key != kBinary) return taken;
  std::vector<std::string> rest;
  for (const std::string& text : arguments.All("--set")) {
    const absl::StatusOr<Setting> setting = SplitSetting(text);
    if (setting.ok() && setting->part == knob->part && setting->key != kBinary) {
      taken.push_back(*setting);
    } else {
      rest.push_back(text);
    }
  }
  arguments.options["--set"] = rest;
  if (rest.empty()) arguments.options.erase("--set");
  return taken;
}

// Settings that are the same for every swept program have to be right for each of them.
void ReadOfPrograms(const std::vector<Setting>& settings, const Lab& lab, const Catalogue& catalogue,
                    SweepRequest& request, Errors& errors) {
  for (const auto& [part, key, value] : settings) {
    request.options.set[part][key] = value;
    for (const std::string& binary : request.plan.values) {
      AddOnce(CheckSet(lab, catalogue, part, key, value, binary), errors);
    }
  }
}

// The program that the part is run by whatever the knob is; "" for those of the lab.
std::string BinaryOf(const SweepRequest& request, const SweepPlan& plan) {
  const auto set = request.options.set.find(plan.part);
  if (set == request.options.set.end()) return "";
  const auto binary = set->second.find(kBinary);
  return binary == set->second.end() ? "" : binary->second;
}

void ReadPlan(const std::string& text, const Lab& lab, const Catalogue& catalogue, SweepRequest& request,
              Errors& errors) {
  const absl::StatusOr<Setting> knob = SplitSetting(text, "part.key=a,b,c");
  if (!knob.ok()) {
    errors.emplace_back(knob.status().message());
    return;
  }
  SweepPlan& plan = request.plan;
  plan.part = knob->part;
  plan.key = knob->key;
  for (const absl::string_view one : absl::StrSplit(knob->value, ',')) {
    std::string value(absl::StripAsciiWhitespace(one));
    if (plan.key == kBinary) value = BinaryPath("", value);
    if (std::find(plan.values.begin(), plan.values.end(), value) != plan.values.end()) {
      errors.push_back(absl::StrCat("--set ", plan.part, ".", plan.key, ": \"", value, "\" stands there twice"));
      continue;
    }
    plan.values.push_back(value);
    const std::string binary = plan.key == kBinary ? value : BinaryOf(request, plan);
    AddOnce(CheckSet(lab, catalogue, plan.part, plan.key, value, binary), errors);
  }
  if (plan.values.size() > kMaxValues) errors.push_back(absl::StrCat("at most ", kMaxValues, " values a sweep"));
}

// What may be set of the part, of the program that it is: that of --set, else that of the lab, else our own.
std::vector<Catalogue::Knob> KnobsOf(const PartSpec& part, std::string binary, const Catalogue& catalogue) {
  const std::string& kind = part.kind.empty() ? part.name : part.kind;
  if (const auto own = part.set.find(kBinary); binary.empty() && own != part.set.end()) binary = own->second;
  if (!binary.empty() && catalogue.knobs_of_binary != nullptr) {
    return catalogue.knobs_of_binary(kind, binary).value_or(std::vector<Catalogue::Knob>());
  }
  const auto knobs = catalogue.knobs.find(kind);
  return knobs == catalogue.knobs.end() ? std::vector<Catalogue::Knob>() : knobs->second;
}

SweepKnob Describe(const SweepRequest& request, const Lab& lab, const Catalogue& catalogue) {
  const SweepPlan& plan = request.plan;
  SweepKnob knob{plan.part, plan.key, "", ""};
  for (const PartSpec& part : lab.system) {
    if (part.name != plan.part) continue;
    for (const Catalogue::Knob& one : KnobsOf(part, BinaryOf(request, plan), catalogue)) {
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
  const std::vector<Setting> of_programs = TakeOfPrograms(swept, rest);
  const absl::StatusOr<RunOptions> options = ReadRunOptions(rest, lab, catalogue);
  if (options.ok()) {
    request.options = *options;
  } else {
    errors.emplace_back(options.status().message());
  }
  if (!swept.empty()) ReadPlan(swept, lab, catalogue, request, errors);
  ReadOfPrograms(of_programs, lab, catalogue, request, errors);
  const auto fixed = request.options.set.find(request.plan.part);
  if (fixed != request.options.set.end() && fixed->second.contains(request.plan.key)) {
    errors.push_back(absl::StrCat("--set ", request.plan.part, ".", request.plan.key, ": swept, and fixed too"));
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  if (!arguments.Has("--repeat")) request.options.repeat = request.options.quick ? 1 : kBlocks;
  if (request.options.variants.empty()) request.options.variants = {lab.reference};
  request.knob = Describe(request, lab, catalogue);
  return request;
}

}  // namespace lab::bench::cli
