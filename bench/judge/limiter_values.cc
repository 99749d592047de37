#include <algorithm>
#include <numeric>

#include "bench/judge/functions.h"
#include "bench/judge/histories.h"
#include "services/runtime/base/text.h"

// What a rate limiter admitted, held against its limit.
namespace lab::bench {
namespace {

struct Limit {
  double count = 0;
  int64_t window_ns = 0;
};

Limit LimitOf(const Selectors& selectors) { return {selectors.Number("limit"), ToNanos(selectors.Number("window"))}; }

std::vector<SelectorSpec> LimiterSelectors(std::vector<SelectorSpec> more) {
  std::vector<SelectorSpec> all = {{"limit", SelectorKind::kCount, true},
                                   {"window", SelectorKind::kTime, true},
                                   {"phase", SelectorKind::kPhases},
                                   {"stream", SelectorKind::kStream}};
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

struct Answered {
  uint64_t admitted = 0;
  uint64_t all = 0;
};

Answered CountAnswered(const Trial& trial, const Selection& selection) {
  Answered answered;
  for (const Op& op : trial.ops) {
    if (op.outcome != Outcome::kOk || op.answer == Answer::kNone || !selection.Within(op)) continue;
    ++answered.all;
    if (op.answer == Answer::kAdmitted) ++answered.admitted;
  }
  return answered;
}

// Admitted, as a multiple of what the limit allows all keys in the selected time.
Evidence AdmittedRatio(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  const Answered answered = CountAnswered(trial, selection);
  if (answered.all == 0) return Evidence::None("the limiter answered nothing in that time");
  const Limit limit = LimitOf(selectors);
  const double windows = selection.length_s * 1e9 / static_cast<double>(limit.window_ns);
  const double allowed = static_cast<double>(selection.keys) * limit.count * windows;
  if (allowed <= 0) return Evidence::None("the number of keys is not known");
  return Evidence::Of(static_cast<double>(answered.admitted) / allowed, answered.all);
}

// The same, over a time in which the limit had to bind for long enough: one window at least.
Evidence LongRunRatio(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const Selection selection = Select(trial, lab, selectors);
  if (selection.why.empty() && selection.length_s < selectors.Number("window")) {
    return Evidence::None("the selected time is shorter than one window");
  }
  return AdmittedRatio(trial, lab, selectors);
}

// The most that one key was admitted in a window of `window_ns`, as a multiple of the limit.
Evidence WorstOf(const Trial& trial, const Lab& lab, const Selectors& selectors, int64_t window_ns, bool aligned) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  if (aligned && trial.started_unix_ns == 0) return Evidence::None("the wall clock of the start is not known");
  const Answered answered = CountAnswered(trial, selection);
  if (answered.all == 0) return Evidence::None("the limiter answered nothing in that time");
  uint64_t most = 0;
  for (const History& history : HistoriesOf(trial, selection)) {
    const std::vector<Decision> judged = Judged(history.decisions);
    const Burst burst =
        aligned ? MostInAlignedWindow(judged, window_ns, trial.started_unix_ns) : MostInWindow(judged, window_ns);
    most = std::max(most, burst.count);
  }
  return Evidence::Of(static_cast<double>(most) / LimitOf(selectors).count, answered.all);
}

Evidence WorstWindow(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  return WorstOf(trial, lab, selectors, LimitOf(selectors).window_ns, selectors.Text("aligned") == "yes");
}

Evidence BurstOf(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  const double share = selectors.Number("share", 1.0 / 60);
  const double part_ns = static_cast<double>(LimitOf(selectors).window_ns) * share;
  return WorstOf(trial, lab, selectors, std::max<int64_t>(1, static_cast<int64_t>(part_ns)), false);
}

Evidence FalseShare(const Trial& trial, const Lab& lab, const Selectors& selectors, bool allowed) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  const Limit limit = LimitOf(selectors);
  FalseDecisions sum;
  for (const History& history : HistoriesOf(trial, selection)) {
    const FalseDecisions found =
        CompareWithExactLog(history.decisions, static_cast<uint64_t>(limit.count), limit.window_ns);
    sum.allowed += found.allowed;
    sum.denied += found.denied;
    sum.answered += found.answered;
  }
  if (sum.answered == 0) return Evidence::None("the limiter answered nothing in that time");
  const double wrong = static_cast<double>(allowed ? sum.allowed : sum.denied);
  return Evidence::Of(wrong / static_cast<double>(sum.answered), sum.answered);
}

// What was admitted too much, or too little, as a share of what one exact limiter admits.
Evidence AgainstExactWindows(const Trial& trial, const Lab& lab, const Selectors& selectors, bool over) {
  const Selection selection = Select(trial, lab, selectors);
  if (!selection.why.empty()) return Evidence::None(selection.why);
  if (trial.started_unix_ns == 0) return Evidence::None("the wall clock of the start is not known");
  const Limit limit = LimitOf(selectors);
  WindowDifference sum;
  for (const History& history : HistoriesOf(trial, selection)) {
    const WindowDifference found = CompareWithExactWindows(history.decisions, static_cast<uint64_t>(limit.count),
                                                           limit.window_ns, trial.started_unix_ns);
    sum.over += found.over;
    sum.under += found.under;
    sum.exact += found.exact;
  }
  if (sum.exact == 0) return Evidence::None("nothing came that an exact limiter would admit");
  return Evidence::Of(static_cast<double>(over ? sum.over : sum.under) / static_cast<double>(sum.exact), sum.exact);
}

}  // namespace

std::vector<History> HistoriesOf(const Trial& trial, const Selection& selection) {
  struct Entry {
    uint64_t place;  // stream and key
    Decision decision;
  };
  std::vector<Entry> entries;
  for (const Op& op : trial.ops) {
    if (!selection.InStream(op)) continue;
    const bool answered = op.outcome == Outcome::kOk && op.answer != Answer::kNone;
    if (!answered && op.outcome != Outcome::kUnknown) continue;
    Decision decision{op.sent_ns, op.done_ns, Decision::Kind::kUnknown, selection.Within(op)};
    if (answered) {
      decision.kind = op.answer == Answer::kAdmitted ? Decision::Kind::kAdmitted : Decision::Kind::kLimited;
    }
    entries.push_back({(static_cast<uint64_t>(op.stream) << 32) | op.key, decision});
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.place < b.place; });
  std::vector<History> histories;
  uint64_t place = 0;
  for (const Entry& entry : entries) {
    if (histories.empty() || entry.place != place) {
      place = entry.place;
      histories.push_back({static_cast<uint16_t>(place >> 32), static_cast<uint32_t>(place), {}});
    }
    histories.back().decisions.push_back(entry.decision);
  }
  return histories;
}

std::vector<Decision> Judged(const std::vector<Decision>& decisions) {
  std::vector<Decision> judged;
  for (const Decision& decision : decisions) {
    if (decision.judged) judged.push_back(decision);
  }
  return judged;
}

void AddLimiterValues(std::vector<Function>& functions) {
  const SelectorSpec fault{"fault", SelectorKind::kFaultPhases};
  const auto add = [&](const char* name, Unit unit, std::vector<SelectorSpec> more, auto evaluate) {
    functions.push_back(Fixed(name, std::move(unit), LimiterSelectors(std::move(more)), evaluate));
  };
  add("admitted_ratio", Unit::Multiple(), {fault}, &AdmittedRatio);
  add("long_run_ratio", Unit::Multiple(), {}, &LongRunRatio);
  add("worst_window", Unit::Multiple(), {fault, {"aligned", SelectorKind::kYesNo}}, &WorstWindow);
  add("burst", Unit::Multiple(), {{"share", SelectorKind::kShare}}, &BurstOf);
  add("false_allow", Unit::Share(), {}, [](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    return FalseShare(trial, lab, selectors, true);
  });
  add("false_deny", Unit::Share(), {}, [](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    return FalseShare(trial, lab, selectors, false);
  });
  add("over_admission", Unit::Share(), {}, [](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    return AgainstExactWindows(trial, lab, selectors, true);
  });
  add("under_admission", Unit::Share(), {}, [](const Trial& trial, const Lab& lab, const Selectors& selectors) {
    return AgainstExactWindows(trial, lab, selectors, false);
  });
}

}  // namespace lab::bench
