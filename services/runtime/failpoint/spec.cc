#include "services/runtime/failpoint/spec.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::failpoint {
namespace {

constexpr Nanos kLongest = std::chrono::hours(1);
constexpr int64_t kMost = 1'000'000'000;

using Errors = std::vector<std::string>;

void ReadDuration(std::string_view name, const std::string& text, Nanos* to, Errors& errors) {
  const absl::StatusOr<Nanos> value = ParseDuration(text);
  if (!value.ok()) {
    errors.push_back(Concat(name, ": ", std::string(value.status().message())));
  } else if (*value <= Nanos(0) || *value > kLongest) {
    errors.push_back(Concat(name, " must be above 0 and at most 1h, not ", JsonString(text)));
  } else {
    *to = *value;
  }
}

void ReadCount(std::string_view name, const std::string& text, int64_t least, int64_t* to, Errors& errors) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < least || value > kMost) {
    errors.push_back(Concat(name, " must be a whole number in ", least, " … ", kMost, ", not ", JsonString(text)));
  } else {
    *to = value;
  }
}

void ReadShare(const std::string& text, double* to, Errors& errors) {
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !(value > 0 && value <= 1)) {
    errors.push_back(Concat("share must be above 0 and at most 1, not ", JsonString(text)));
  } else {
    *to = value;
  }
}

void ReadAction(const Point* point, const std::string& text, Spec& spec, Errors& errors) {
  const absl::StatusOr<Action> action = ParseAction(text);
  if (!action.ok()) {
    errors.emplace_back(action.status().message());
    return;
  }
  spec.action = *action;
  if (point == nullptr || point->Takes(*action)) return;
  const bool before = point->side() == Side::kBefore;
  errors.push_back(Concat(point->name(), " takes no ", text, ", which ",
                          before ? "lets the effect happen" : "prevents the effect", ": arm it ",
                          before ? "after" : "before", " the effect"));
}

absl::StatusOr<Spec> Parse(const Point* point, const std::map<std::string, std::string>& options) {
  static const std::vector<std::string> kNames = {"action", "delay", "share", "every", "times", "operation", "for"};
  Spec spec;
  Errors errors;
  for (const auto& [name, text] : options) {
    if (name == "action") {
      ReadAction(point, text, spec, errors);
    } else if (name == "delay") {
      ReadDuration(name, text, &spec.delay, errors);
    } else if (name == "share") {
      ReadShare(text, &spec.share, errors);
    } else if (name == "every") {
      ReadCount(name, text, 1, &spec.every, errors);
    } else if (name == "times") {
      ReadCount(name, text, 0, &spec.times, errors);
    } else if (name == "operation") {
      spec.operation = text;
    } else if (name == "for") {
      ReadDuration(name, text, &spec.lasts, errors);
    } else {
      errors.push_back(Concat("unknown option ", JsonString(name), Suggestion(name, kNames)));
    }
  }
  if (options.count("action") == 0) errors.push_back("say what it does, as action=error");
  const bool delays = spec.action == Action::kDelay;
  if (delays && options.count("delay") == 0) errors.push_back("the action delay needs its time, as delay=20ms");
  if (!delays && spec.action != Action::kNone && options.count("delay") > 0) {
    errors.push_back("delay=… goes with the action delay only");
  }
  if (!errors.empty()) return absl::InvalidArgumentError(absl::StrJoin(errors, "; "));
  return spec;
}

}  // namespace

absl::StatusOr<Spec> ParseSpec(const Point& point, const std::map<std::string, std::string>& options) {
  return Parse(&point, options);
}

absl::StatusOr<Spec> ParseSpec(const std::map<std::string, std::string>& options) { return Parse(nullptr, options); }

absl::StatusOr<Spec> ParseSpecText(const Point& point, std::string_view text) {
  std::map<std::string, std::string> options;
  for (const absl::string_view word : absl::StrSplit(View(text), ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> pair = absl::StrSplit(word, absl::MaxSplits('=', 1));
    const bool action = word.find('=') == absl::string_view::npos;
    const auto [entry, added] =
        action ? options.emplace("action", pair.first) : options.emplace(pair.first, pair.second);
    if (!added) return absl::InvalidArgumentError(Concat(entry->first, " is given twice"));
  }
  return ParseSpec(point, options);
}

std::string SpecText(const Spec& spec) {
  std::string out(ActionName(spec.action));
  if (spec.action == Action::kDelay) out += Concat(" delay=", DurationText(spec.delay));
  if (spec.share < 1) out += Concat(" share=", JsonNumber(spec.share));
  if (spec.every > 1) out += Concat(" every=", spec.every);
  if (spec.times > 0) out += Concat(" times=", spec.times);
  if (!spec.operation.empty()) out += Concat(" operation=", spec.operation);
  if (spec.lasts > Nanos(0)) out += Concat(" for=", DurationText(spec.lasts));
  return out;
}

}  // namespace lab::failpoint
