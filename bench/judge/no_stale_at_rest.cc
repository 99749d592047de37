#include <algorithm>
#include <map>

#include "bench/judge/invariants.h"
#include "bench/judge/judge.h"
#include "bench/judge/records.h"
#include "services/runtime/base/text.h"

// no-stale-at-rest: once nobody writes any more, every key that was written is read through every replica, and looked
// up in what they share: none has an older version than the database. Says nothing unless at least half of what was
// read came from a cache: what is not cached cannot be stale.
namespace lab::bench {
namespace {

bool IsCached(const RestRead& read) {
  return read.how == Answer::kHitLocal || read.how == Answer::kHitShared || read.how == Answer::kStale;
}

const char* HowOf(Answer how) {
  switch (how) {
    case Answer::kHitLocal:
      return "from L1";
    case Answer::kHitShared:
      return "from L2";
    case Answer::kStale:
      return "kept beyond its time";
    default:
      return "as loaded";
  }
}

// The newest version of each key that the load was told is written must be in the database.
void CheckKept(const Trial& trial, InvariantResult& result) {
  std::map<std::string, uint64_t> there;
  for (const RestRead& read : trial.at_rest->reads) there[read.key.substr(0, read.key.find(' '))] = read.there;
  for (const Op& op : trial.ops) {
    if (op.ask != Ask::kWrite || op.outcome != Outcome::kOk) continue;
    const auto found = there.find(Concat("brand-", op.key));
    // Of a brand that is still, or again, as it began there is no read; of a sample nothing follows from that.
    const bool sample = trial.at_rest->asked < trial.at_rest->written || trial.at_rest->reads.empty();
    if (found == there.end() ? sample || op.version <= 1 : found->second >= op.version) continue;
    result.Break(Concat(RecordName(trial, op), ": version ", op.version,
                        " was acknowledged, the database has only version ", found == there.end() ? 1 : found->second));
  }
}

InvariantResult Check(const Trial& trial, const Lab&, const Selectors&) {
  InvariantResult result;
  if (!trial.at_rest) {
    result.why = "nothing was read at rest";
    return result;
  }
  const AtRest& rest = *trial.at_rest;
  CheckRecords(trial, std::vector<bool>(trial.streams.size(), true), result);
  if (result.broken > 0) {
    result.why = Concat("the record is not whole: ", result.offenders.front());
    return result;
  }
  uint64_t cached = 0, answered = 0;
  for (const RestRead& read : rest.reads) {
    if (read.place != "redis") {
      ++answered;
      cached += IsCached(read) ? 1 : 0;
    }
    if (read.version >= read.there) continue;
    result.Break(Concat(read.place, ", ", read.key, ": version ", read.version, " ", HowOf(read.how),
                        ", the database has version ", read.there));
  }
  CheckKept(trial, result);
  if (result.broken > 0) {
    result.state = State::kFail;
  } else if (rest.written == 0) {
    result.why = "nothing was written";
  } else if (!rest.why.empty()) {
    result.why = rest.why;
  } else if (answered == 0) {
    result.why = "no replica answered";
  } else if (cached * 2 < answered) {
    result.why = Concat("only ", cached, " of ", answered, " reads came from a cache: too few to say anything");
  } else {
    result.state = State::kPass;
  }
  result.measured = Concat(FormatQuantity(static_cast<double>(rest.asked), "ops"), " of ",
                           FormatQuantity(static_cast<double>(rest.written), "ops"), " keys that were written, ",
                           FormatQuantity(static_cast<double>(answered), "ops"), " reads, ",
                           FormatQuantity(static_cast<double>(cached), "ops"), " of them cached");
  return result;
}

}  // namespace

Invariant NoStaleAtRest() { return {"no-stale-at-rest", {}, &Check}; }

}  // namespace lab::bench
