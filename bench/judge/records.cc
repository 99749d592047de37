#include "bench/judge/records.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "bench/judge/selection.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr int64_t kEarlyNs = 1'000'000;  // a send may be this much before its intended time: one turn of the loop

std::string StreamName(const Trial& trial, size_t stream) {
  return stream < trial.streams.size() ? trial.streams[stream].name : Concat("stream ", stream);
}

using Streams = std::vector<bool>;

// A record of a stream that does not exist is nobody's: it breaks them all.
bool Selected(const Streams& streams, const Op& op) { return op.stream >= streams.size() || streams[op.stream]; }

std::string Named(const Trial& trial, size_t stream, uint32_t key, int64_t intended_ns) {
  return Concat(StreamName(trial, stream), " key ", key, ", intended at ", Place(trial, intended_ns));
}

void CheckTimes(const Trial& trial, const Streams& streams, InvariantResult& result) {
  for (const Op& op : trial.ops) {
    if (!Selected(streams, op)) continue;
    if (op.stream >= trial.streams.size()) {
      result.Break(Concat(RecordName(trial, op), ": of a stream that does not exist"));
    } else if (op.outcome == Outcome::kDropped) {
      if (op.sent_ns != 0 || op.done_ns != 0)
        result.Break(Concat(RecordName(trial, op), ": dropped, but with a time of sending"));
    } else if (op.done_ns < op.sent_ns) {
      result.Break(Concat(RecordName(trial, op), ": done before it was sent"));
    } else if (op.sent_ns < op.intended_ns - kEarlyNs) {
      result.Break(Concat(RecordName(trial, op), ": sent before its time"));
    }
    if (op.outcome != Outcome::kOk && op.answer != Answer::kNone) {
      result.Break(Concat(RecordName(trial, op), ": has an answer without having been answered"));
    }
  }
}

// The fewest records whose removal leaves the rest in order (those outside a longest non-decreasing subsequence;
// patience sorting): the ones that were moved, not the many that they were moved past.
void CheckOrder(const Trial& trial, const Streams& streams, InvariantResult& result) {
  const std::vector<Op>& ops = trial.ops;
  const auto earlier = [](const Op& a, const Op& b) { return a.intended_ns < b.intended_ns; };
  if (std::is_sorted(ops.begin(), ops.end(), earlier)) return;
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  std::vector<size_t> tails, before(ops.size(), kNone);
  for (size_t i = 0; i < ops.size(); ++i) {
    const auto place =
        std::upper_bound(tails.begin(), tails.end(), i, [&](size_t a, size_t b) { return earlier(ops[a], ops[b]); });
    if (place != tails.begin()) before[i] = *(place - 1);
    if (place == tails.end()) {
      tails.push_back(i);
    } else {
      *place = i;
    }
  }
  std::vector<bool> in_order(ops.size(), false);
  for (size_t i = tails.back(); i != kNone; i = before[i]) in_order[i] = true;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!in_order[i] && Selected(streams, ops[i]))
      result.Break(Concat(RecordName(trial, ops[i]), ": out of order in the record"));
  }
}

using Identity = std::pair<int64_t, uint32_t>;  // intended time, key

// Holds what ended against what was scheduled, of one stream.
void CheckSchedule(const Trial& trial, size_t stream, InvariantResult& result) {
  std::vector<Identity> scheduled, ended;
  for (const Arrival& arrival : *trial.streams[stream].schedule)
    scheduled.emplace_back(arrival.intended_ns, arrival.key);
  for (const Op& op : trial.ops) {
    if (op.stream == stream) ended.emplace_back(op.intended_ns, op.key);
  }
  std::sort(scheduled.begin(), scheduled.end());
  std::sort(ended.begin(), ended.end());
  size_t s = 0, e = 0;
  while (s < scheduled.size() || e < ended.size()) {
    if (e == ended.size() || (s < scheduled.size() && scheduled[s] < ended[e])) {
      result.Break(Concat(Named(trial, stream, scheduled[s].second, scheduled[s].first), ": never ended"));
      ++s;
    } else if (s == scheduled.size() || ended[e] < scheduled[s]) {
      const bool again = e > 0 && ended[e] == ended[e - 1];
      result.Break(Concat(Named(trial, stream, ended[e].second, ended[e].first),
                          again ? ": ended twice" : ": ended, but was never scheduled"));
      ++e;
    } else {
      ++s, ++e;
    }
  }
}

}  // namespace

std::string RecordName(const Trial& trial, const Op& op) { return Named(trial, op.stream, op.key, op.intended_ns); }

void CheckRecords(const Trial& trial, const std::vector<bool>& streams, InvariantResult& result) {
  CheckTimes(trial, streams, result);
  CheckOrder(trial, streams, result);
  for (size_t stream = 0; stream < trial.streams.size(); ++stream) {
    if (streams[stream] && trial.streams[stream].schedule != nullptr) CheckSchedule(trial, stream, result);
  }
}

}  // namespace lab::bench
