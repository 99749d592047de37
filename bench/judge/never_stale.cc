#include "bench/judge/cache_histories.h"
#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "services/runtime/base/text.h"

// never-stale{bound=1s}: no read was of a version that had been out of date for longer than the bound when it was sent,
// counting only what is certain (staleness_oracle.h).
namespace lab::bench {
namespace {

InvariantResult Check(const Trial& trial, const Lab& lab, const Selectors& selectors) {
  InvariantResult result;
  const Selection selection = Select(trial, lab, selectors);
  result.why = selection.why;
  if (!result.why.empty()) return result;
  // A write that was lost from the record hides a stale read, one that is there twice makes one up; writes of all
  // streams matter.
  CheckRecords(trial, std::vector<bool>(trial.streams.size(), true), result);
  if (result.broken > 0) {
    result.why = Concat("the record is not whole: ", result.offenders.front());
    return result;
  }
  const CacheRecord record = CacheRecordOf(trial, selection);
  result.why = record.why;
  if (!result.why.empty()) return result;
  for (const CacheOffence& offence : StalerThan(record.histories, ToNanos(selectors.Number("bound")))) {
    result.Break(Concat(RecordName(trial, *record.reads[offence.history][offence.read]), ": ", WordsOf(offence)));
  }
  result.state = result.broken > 0 ? State::kFail : State::kPass;
  const Staleness staleness = StalenessOf(record.histories);
  result.measured = Concat(FormatQuantity(static_cast<double>(record.judged), "ops"), " reads, the oldest ",
                           FormatQuantity(staleness.age_max_s, "s"), " out of date");
  return result;
}

}  // namespace

Invariant NeverStale() {
  return {"never-stale",
          {{"bound", SelectorKind::kTime, true}, {"phase", SelectorKind::kPhases}, {"stream", SelectorKind::kStream}},
          &Check};
}

}  // namespace lab::bench
