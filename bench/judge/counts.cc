#include <array>

#include "bench/judge/functions.h"
#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

// How many operations there were of each kind, a second, and as shares.
namespace lab::bench {
namespace {

enum class Kind { kOffered, kSent, kOk, kFailed, kUnknown, kDropped, kAdmitted, kLimited };
constexpr size_t kKinds = 8;
using Counts = std::array<uint64_t, kKinds>;

bool IsOf(const Op& op, Kind kind) {
  switch (kind) {
    case Kind::kOffered:
      return true;
    case Kind::kSent:
      return op.outcome != Outcome::kDropped;
    case Kind::kOk:
      return op.outcome == Outcome::kOk;
    case Kind::kFailed:
      return op.outcome == Outcome::kFailed;
    case Kind::kUnknown:
      return op.outcome == Outcome::kUnknown;
    case Kind::kDropped:
      return op.outcome == Outcome::kDropped;
    case Kind::kAdmitted:
      return op.outcome == Outcome::kOk && op.answer == Answer::kAdmitted;
    case Kind::kLimited:
      return op.outcome == Outcome::kOk && op.answer == Answer::kLimited;
  }
  return false;
}

// By fault, what was offered and dropped counts by its intended time, what was sent by its sending alone.
bool Selected(const Selection& selection, const Op& op, Kind kind) {
  if (!selection.by_fault || kind == Kind::kOffered || kind == Kind::kDropped) return selection.Intended(op);
  if (kind != Kind::kSent) return selection.Within(op);
  if (!selection.InStream(op)) return false;
  for (const auto& [begin, end] : selection.windows_ns) {
    if (op.sent_ns >= begin && op.sent_ns <= end) return true;
  }
  return false;
}

uint64_t Count(const Trial& trial, const Selection& selection, Kind kind) {
  uint64_t count = 0;
  for (const Op& op : trial.ops) count += IsOf(op, kind) && Selected(selection, op, kind) ? 1 : 0;
  return count;
}

const std::vector<SelectorSpec>& Where() {
  static const std::vector<SelectorSpec> where = {{"phase", SelectorKind::kPhases},
                                                  {"fault", SelectorKind::kFaultPhases},
                                                  {"stream", SelectorKind::kStream},
                                                  {"ops", SelectorKind::kAsk}};
  return where;
}

Function CountOf(std::string name, Kind kind, bool per_second) {
  const auto evaluate = [kind, per_second](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    const Selection selection = Select(trial, lab, selectors);
    if (!selection.why.empty()) return Evidence::None(selection.why);
    const uint64_t offered = Count(trial, selection, Kind::kOffered);
    if (offered == 0) return Evidence::None("nothing was offered");
    const double count = static_cast<double>(Count(trial, selection, kind));
    return Evidence::Of(per_second ? count / selection.length_s : count, offered);
  };
  return Fixed(std::move(name), per_second ? Unit::Rate() : Unit::Count(), Where(), evaluate);
}

// Of what the operations `above` make up of all the operations `below`.
Function ShareOfKinds(std::string name, std::vector<Kind> above, std::vector<Kind> below, std::string why_none) {
  const auto evaluate = [above, below, why_none](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    const Selection selection = Select(trial, lab, selectors);
    if (!selection.why.empty()) return Evidence::None(selection.why);
    uint64_t part = 0, whole = 0;
    for (const Kind kind : above) part += Count(trial, selection, kind);
    for (const Kind kind : below) whole += Count(trial, selection, kind);
    if (whole == 0) return Evidence::None(why_none);
    return Evidence::Of(static_cast<double>(part) / static_cast<double>(whole), whole);
  };
  return Fixed(std::move(name), Unit::Share(), Where(), evaluate);
}

// Attempts of what was offered: 1 where nothing is sent again.
Function AttemptsPerOperation() {
  const auto evaluate = [](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    const Selection selection = Select(trial, lab, selectors);
    if (!selection.why.empty()) return Evidence::None(selection.why);
    uint64_t attempts = 0, operations = 0;
    for (const Op& op : trial.ops) {
      if (!IsOf(op, Kind::kSent) || !Selected(selection, op, Kind::kSent)) continue;
      attempts += op.attempts;
      ++operations;
    }
    if (operations == 0) return Evidence::None("nothing was sent");
    return Evidence::Of(static_cast<double>(attempts) / static_cast<double>(operations), operations);
  };
  return Fixed("amplification", Unit::Multiple(), Where(), evaluate);
}

}  // namespace

void AddCounts(std::vector<Function>& functions) {
  const std::array<std::pair<const char*, Kind>, kKinds> kinds = {{{"offered", Kind::kOffered},
                                                                   {"sent", Kind::kSent},
                                                                   {"ok", Kind::kOk},
                                                                   {"failed", Kind::kFailed},
                                                                   {"unknown", Kind::kUnknown},
                                                                   {"dropped", Kind::kDropped},
                                                                   {"admitted", Kind::kAdmitted},
                                                                   {"limited", Kind::kLimited}}};
  for (const auto& [name, kind] : kinds) functions.push_back(CountOf(name, kind, false));
  for (const auto& [name, kind] : kinds) {
    const std::string rate = kind == Kind::kOk ? "achieved_rate" : Concat(name, "_rate");
    functions.push_back(CountOf(rate, kind, true));
  }
  functions.push_back(ShareOfKinds("error_ratio", {Kind::kFailed, Kind::kUnknown},
                                   {Kind::kOk, Kind::kFailed, Kind::kUnknown}, "no operation ended"));
  functions.push_back(AttemptsPerOperation());
  functions.push_back(ShareOfKinds("dropped_ratio", {Kind::kDropped}, {Kind::kOffered}, "nothing was offered"));
  functions.push_back(ShareOfKinds("limited_ratio", {Kind::kLimited}, {Kind::kOk}, "the limiter answered nothing"));
}

}  // namespace lab::bench
