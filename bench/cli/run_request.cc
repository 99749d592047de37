#include "bench/cli/run_request.h"

#include <algorithm>
#include <random>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bench/judge/difference.h"
#include "bench/judge/judge.h"
#include "bench/run/explore_trial.h"
#include "services/runtime/base/nearest.h"

namespace lab::bench::cli {
namespace {

constexpr uint64_t kMaxRepeat = 100;

using Errors = std::vector<std::string>;

void Add(const absl::Status& status, Errors& errors) { errors.emplace_back(status.message()); }

void ReadVariants(const Arguments& arguments, const Lab& lab, RunOptions& options, Errors& errors) {
  std::vector<std::string> known;
  for (const VariantSpec& variant : lab.variants) known.push_back(variant.name);
  for (const std::string& list : arguments.All("--variants")) {
    for (const absl::string_view part : absl::StrSplit(list, ',')) {
      const std::string name(absl::StripAsciiWhitespace(part));
      if (std::find(known.begin(), known.end(), name) == known.end()) {
        errors.push_back(
            absl::StrCat("--variants: ", lab.name, " has no variant \"", name, "\"", Suggestion(name, known)));
      } else if (std::find(options.variants.begin(), options.variants.end(), name) == options.variants.end()) {
        options.variants.push_back(name);
      }
    }
  }
}

// A program of --set is named from the folder in which the command is typed.
void ReadSettings(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue, RunOptions& options,
                  Errors& errors) {
  std::vector<Setting> settings;
  std::map<std::string, std::string> binaries;
  for (const std::string& text : arguments.All("--set")) {
    absl::StatusOr<Setting> setting = SplitSetting(text);
    if (!setting.ok()) {
      Add(setting.status(), errors);
      continue;
    }
    if (setting->key == "binary") binaries[setting->part] = setting->value = BinaryPath("", setting->value);
    settings.push_back(*std::move(setting));
  }
  for (const auto& [part, key, value] : settings) {
    if (const absl::Status status = CheckSet(lab, catalogue, part, key, value, binaries[part]); !status.ok()) {
      Add(status, errors);
    } else {
      options.set[part][key] = value;
    }
  }
}

void ReadPredictions(const Arguments& arguments, const Lab& lab, RunOptions& options, Errors& errors) {
  std::vector<std::string> known;
  for (const PredictSpec& question : lab.predict) known.push_back(question.id);
  for (const std::string& text : arguments.All("--predict")) {
    const auto assignment = SplitAssignment("--predict", text);
    if (!assignment.ok()) {
      Add(assignment.status(), errors);
      continue;
    }
    const auto& [id, value] = *assignment;
    const auto question = std::find_if(lab.predict.begin(), lab.predict.end(),
                                       [&, &name = id](const PredictSpec& p) { return p.id == name; });
    if (question == lab.predict.end()) {
      errors.push_back(absl::StrCat("--predict: ", lab.name, " does not ask for \"", id, "\"", Suggestion(id, known)));
      continue;
    }
    const absl::StatusOr<double> number = ParseQuantityIn(value, question->unit);
    if (number.ok()) {
      options.predictions[id] = *number;
    } else {
      errors.push_back(absl::StrCat("--predict ", id, ": ", number.status().message()));
    }
  }
}

template <typename T>
void ReadNumber(const Arguments& arguments, const char* name, uint64_t min, uint64_t max, T& value, Errors& errors) {
  const auto number = arguments.Number(name, min, max);
  if (!number.ok()) {
    Add(number.status(), errors);
  } else if (*number) {
    value = static_cast<T>(**number);
  }
}

}  // namespace

absl::StatusOr<RunOptions> ReadRunOptions(const Arguments& arguments, const Lab& lab, const Catalogue& catalogue) {
  RunOptions options;
  Errors errors;
  options.quick = arguments.Has("--quick");
  options.repeat_disturbed = true;
  options.recalibrate = arguments.Has("--recalibrate");
  options.repeat = options.quick ? 1 : std::max(1, lab.repeat);
  // Another arrival pattern in each run, unless a seed is given; the report tells which it was.
  options.seed = std::random_device()() % 9999 + 1;
  ReadNumber(arguments, "--seed", 0, UINT64_MAX, options.seed, errors);
  ReadNumber(arguments, "--repeat", 1, kMaxRepeat, options.repeat, errors);
  ReadVariants(arguments, lab, options, errors);
  // A quick run does not compare: nothing to show the noise of.
  if (!options.quick) options.again = NoiseVariant(lab, options.variants);
  ReadSettings(arguments, lab, catalogue, options, errors);
  ReadPredictions(arguments, lab, options, errors);
  options.schedule = arguments.Get("--schedule");
  if (arguments.Has("--schedule") && !lab.explore) {
    errors.push_back(absl::StrCat("--schedule: ", lab.name, " explores nothing"));
  } else if (arguments.Has("--schedule")) {
    if (const std::string wrong = CheckSchedule(lab, options); !wrong.empty()) {
      errors.push_back("--schedule: " + wrong);
    }
  }
  if (arguments.Has("--starve-load")) {
    const absl::StatusOr<double> share = ParseQuantity(arguments.Get("--starve-load"));
    if (!share.ok() || *share < 0 || *share >= 1) {
      errors.push_back("--starve-load takes a share of the time from 0 to below 1, like 0.5 or 50%");
    } else {
      options.starve_load = *share;
    }
  }
  errors.erase(std::unique(errors.begin(), errors.end()), errors.end());  // "--variants ," names nothing twice
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
  return options;
}

}  // namespace lab::bench::cli
