#include "bench/judge/cache_histories.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <vector>

#include "bench/judge/judge.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

bool IsWrite(const Op& op) { return op.ask == Ask::kWrite && op.outcome != Outcome::kDropped; }
bool IsQueued(const Op& op) { return IsWrite(op) && op.outcome == Outcome::kOk && op.answer == Answer::kQueued; }
bool IsCommit(const Op& op) { return op.ask == Ask::kWrite && op.outcome == Outcome::kOk && op.version > 0; }
bool IsRead(const Op& op) { return op.ask == Ask::kRead && op.outcome == Outcome::kOk && op.version > 0; }
uint32_t SessionOf(const Op& op) { return op.session == kNobodysSession ? kNoSession : uint32_t{op.session}; }

// The writes of a key that stand in a queue, and when it was first written at all.
struct Queued {
  std::vector<const Op*> writes;
  int64_t first_sent = std::numeric_limits<int64_t>::max();
};

// Gives each the version that the key has at least once it has been applied (cache_histories.h).
void AddQueued(Queued& queued, CacheHistory& history) {
  std::vector<const Op*>& writes = queued.writes;
  std::stable_sort(writes.begin(), writes.end(), [](const Op* a, const Op* b) { return a->done_ns < b->done_ns; });
  uint64_t version = 1;
  for (const CacheRead& read : history.reads) {
    if (read.answered < queued.first_sent) version = std::max(version, read.version);
  }
  for (size_t i = 0; i < writes.size(); ++i) {
    const bool in_order = i == 0 || writes[i - 1]->done_ns < writes[i]->sent_ns;
    history.commits.push_back(
        {++version, queued.first_sent, writes[i]->done_ns, in_order ? SessionOf(*writes[i]) : kNoSession});
  }
}

}  // namespace

CacheRecord CacheRecordOf(const Trial& trial, const Selection& selection) {
  CacheRecord record;
  record.why = selection.why;
  if (!record.why.empty()) return record;
  std::map<uint32_t, size_t> places;
  std::map<uint32_t, Queued> queues;
  for (const Op& op : trial.ops) {
    if (IsWrite(op)) queues[op.key].first_sent = std::min(queues[op.key].first_sent, op.sent_ns);
    if (IsQueued(op)) queues[op.key].writes.push_back(&op);
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
  for (auto& [key, queued] : queues) {
    const auto place = places.find(key);  // of what nobody reads nothing can be said
    if (queued.writes.empty() || place == places.end()) continue;
    CacheHistory& history = record.histories[place->second];
    if (!history.commits.empty()) continue;  // some versions are told, some counted: those that are told will do
    AddQueued(queued, history);
    record.commits += history.commits.size();
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
