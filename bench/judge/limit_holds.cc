#include <algorithm>

#include "bench/judge/histories.h"
#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "services/runtime/base/text.h"

// limit-holds{limit=50, window=2s, factor=2}: no key is admitted more than factor x limit in any window, counting only
// what certainly lies in one (limiter_oracle.h).
namespace lab::bench {
namespace {

// Of the admissions that certainly lie in the window from `begin`, the first one beyond the limit.
std::string OneTooMany(const Trial& trial, const History& history, int64_t begin, int64_t window, double allowed) {
  std::vector<const Op*> inside;
  for (const Op& op : trial.ops) {
    if (op.stream != history.stream || op.key != history.key || op.answer != Answer::kAdmitted) continue;
    if (op.sent_ns >= begin && op.done_ns < begin + window) inside.push_back(&op);
  }
  const auto place = static_cast<size_t>(allowed);
  if (inside.size() <= place) return "";
  std::sort(inside.begin(), inside.end(), [](const Op* a, const Op* b) { return a->done_ns < b->done_ns; });
  return Concat("; one too many: ", RecordName(trial, *inside[place]));
}

InvariantResult Check(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  InvariantResult result;
  const Selection selection = Select(trial, lab, selectors);
  result.why = selection.why;
  if (!result.why.empty()) return result;
  // A lost admission hides a violation, one that is there twice makes one up.
  CheckRecords(trial, selection.streams, result);
  if (result.broken > 0) {
    result.why = Concat("the record is not whole: ", result.offenders.front());
    return result;
  }
  const int64_t window_ns = ToNanos(selectors.Number("window"));
  const double allowed = selectors.Number("limit") * selectors.Number("factor", 1);
  const bool aligned = selectors.Text("aligned") == "yes";
  if (aligned && trial.started_unix_ns == 0) {
    result.why = "the wall clock of the start is not known";
    return result;
  }
  uint64_t answered = 0, worst = 0;
  for (const History& history : HistoriesOf(trial, selection)) {
    const std::vector<Decision> judged = Judged(history.decisions);
    answered += static_cast<uint64_t>(std::count_if(judged.begin(), judged.end(), [](const Decision& decision) {
      return decision.kind != Decision::Kind::kUnknown;
    }));
    const Burst most =
        aligned ? MostInAlignedWindow(judged, window_ns, trial.started_unix_ns) : MostInWindow(judged, window_ns);
    worst = std::max(worst, most.count);
    if (static_cast<double>(most.count) <= allowed) continue;
    result.Break(Concat(trial.streams[history.stream].name, " key ", history.key, ": ", most.count, " admitted within ",
                        selectors.Text("window"), " from ", Place(trial, most.begin), ", at most ",
                        FormatQuantity(allowed, ""), OneTooMany(trial, history, most.begin, window_ns, allowed)));
  }
  if (answered == 0) {
    result.why = "the limiter answered nothing in that time";
    return result;
  }
  result.state = result.broken > 0 ? State::kFail : State::kPass;
  result.measured = Concat("at most ", worst, " admitted to a key in ", selectors.Text("window"));
  return result;
}

}  // namespace

Invariant LimitHolds() {
  return {"limit-holds",
          {{"limit", SelectorKind::kCount, true},
           {"window", SelectorKind::kTime, true},
           {"factor", SelectorKind::kCount},
           {"aligned", SelectorKind::kYesNo},
           {"phase", SelectorKind::kPhases},
           {"stream", SelectorKind::kStream}},
          &Check};
}

}  // namespace lab::bench
