#include <algorithm>

#include "bench/judge/histories.h"
#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "services/runtime/base/text.h"

// limit-holds{limit=50, window=2s, factor=2}: no key is admitted more than factor x limit in any window, counting only
// what certainly lies in one (limiter_oracle.h).
namespace lab::bench {
namespace {

InvariantResult Check(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  InvariantResult result;
  const Selection selection = Select(trial, lab, selectors);
  result.why = selection.why;
  if (!result.why.empty()) return result;
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
                        FormatQuantity(allowed, "")));
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
