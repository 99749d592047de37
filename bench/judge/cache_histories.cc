#include "bench/judge/cache_histories.h"

#include <map>

#include "bench/judge/judge.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

bool IsCommit(const Op& op) { return op.ask == Ask::kWrite && op.outcome == Outcome::kOk && op.version > 0; }
bool IsRead(const Op& op) { return op.ask == Ask::kRead && op.outcome == Outcome::kOk && op.version > 0; }
uint32_t SessionOf(const Op& op) { return op.session == kNobodysSession ? kNoSession : uint32_t{op.session}; }

}  // namespace

CacheRecord CacheRecordOf(const Trial& trial, const Selection& selection) {
  CacheRecord record;
  record.why = selection.why;
  if (!record.why.empty()) return record;
  std::map<uint32_t, size_t> places;
  for (const Op& op : trial.ops) {
    if (!IsCommit(op) && !IsRead(op)) continue;
    const auto [place, first] = places.emplace(op.key, record.histories.size());
    if (first) {
      record.histories.push_back({Concat("key ", op.key), {}, {}});
      record.reads.emplace_back();
    }
    CacheHistory& history = record.histories[place->second];
    if (IsCommit(op)) {
      history.commits.push_back({op.version, op.sent_ns, op.done_ns, SessionOf(op)});
      ++record.commits;
      continue;
    }
    const bool judged = selection.Within(op);
    history.reads.push_back({op.sent_ns, op.done_ns, op.version, SessionOf(op), judged});
    record.reads[place->second].push_back(&op);
    record.judged += judged ? 1 : 0;
    record.of_sessions += judged && op.session != kNobodysSession ? 1 : 0;
  }
  if (record.judged == 0) {
    record.why = "no read of a version was answered in that time";
  } else if (record.commits == 0) {
    record.why = "nothing was written, so nothing could be stale";
  }
  for (const CacheHistory& history : record.histories) {
    if (!record.why.empty()) break;
    if (const std::string wrong = WhatIsWrong(history); !wrong.empty()) record.why = Concat(history.key, ": ", wrong);
  }
  return record;
}

std::string WordsOf(const CacheOffence& offence) {
  return Concat("read version ", offence.version, ", ",
                FormatQuantity(static_cast<double>(offence.sent - offence.since) * 1e-9, "s"), " after version ",
                offence.expected, " had been acknowledged");
}

}  // namespace lab::bench
