#include "bench/judge/limiter_oracle.h"

#include <algorithm>
#include <map>

namespace lab::bench {
namespace {

// Counts over ranks: add one at a rank, ask how many lie below a rank (Fenwick tree).
class RankCounter {
 public:
  explicit RankCounter(size_t ranks) : tree_(ranks + 1, 0) {}
  void Add(size_t rank) {
    for (size_t i = rank + 1; i < tree_.size(); i += i & (~i + 1)) ++tree_[i];
  }
  uint64_t Below(size_t rank) const {
    uint64_t count = 0;
    for (size_t i = rank; i > 0; i -= i & (~i + 1)) count += tree_[i];
    return count;
  }

 private:
  std::vector<uint32_t> tree_;
};

size_t RankOf(const std::vector<int64_t>& sorted, int64_t value) {
  return static_cast<size_t>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
}

std::vector<Decision> Admitted(const std::vector<Decision>& decisions, bool unknown_too) {
  std::vector<Decision> admitted;
  for (const Decision& decision : decisions) {
    const bool maybe = unknown_too && decision.kind == Decision::Kind::kUnknown;
    if (decision.kind == Decision::Kind::kAdmitted || maybe) admitted.push_back(decision);
  }
  return admitted;
}

std::vector<int64_t> SortedTimes(const std::vector<Decision>& decisions, int64_t Decision::*time) {
  std::vector<int64_t> times;
  times.reserve(decisions.size());
  for (const Decision& decision : decisions) times.push_back(decision.*time);
  std::sort(times.begin(), times.end());
  return times;
}

int64_t FloorDivide(int64_t value, int64_t by) { return value / by - (value % by < 0 ? 1 : 0); }

// For each judged admission: how many others were certainly made before it and certainly less than a window before it,
// i.e. other.to < it.from and other.from > it.to - window.
uint64_t CountFalselyAllowed(const std::vector<Decision>& decisions, uint64_t limit, int64_t window) {
  std::vector<Decision> queries = Admitted(decisions, false);
  std::vector<Decision> by_to = queries;
  std::sort(queries.begin(), queries.end(), [](const Decision& a, const Decision& b) { return a.from < b.from; });
  std::sort(by_to.begin(), by_to.end(), [](const Decision& a, const Decision& b) { return a.to < b.to; });
  const std::vector<int64_t> froms = SortedTimes(queries, &Decision::from);
  RankCounter made(froms.size());
  uint64_t inserted = 0, wrong = 0;
  for (const Decision& query : queries) {
    while (inserted < by_to.size() && by_to[inserted].to < query.from) {
      made.Add(RankOf(froms, by_to[inserted].from));
      ++inserted;
    }
    const uint64_t too_old = made.Below(RankOf(froms, query.to - window + 1));
    if (query.judged && inserted - too_old >= limit) ++wrong;
  }
  return wrong;
}

// For each judged refusal: how many admissions can at most have lain in its window: all but those that were certainly
// made after it or certainly a window or more before it.
uint64_t CountFalselyDenied(const std::vector<Decision>& decisions, uint64_t limit, int64_t window) {
  const std::vector<Decision> possible = Admitted(decisions, true);
  const std::vector<int64_t> froms = SortedTimes(possible, &Decision::from);
  const std::vector<int64_t> tos = SortedTimes(possible, &Decision::to);
  uint64_t wrong = 0;
  for (const Decision& decision : decisions) {
    if (!decision.judged || decision.kind != Decision::Kind::kLimited) continue;
    const uint64_t not_after = RankOf(froms, decision.to + 1);
    const uint64_t too_old = RankOf(tos, decision.from - window + 1);
    if (not_after - std::min(not_after, too_old) < limit) ++wrong;
  }
  return wrong;
}

}  // namespace

Burst MostInWindow(const std::vector<Decision>& decisions, int64_t window) {
  std::vector<Decision> admitted = Admitted(decisions, false);
  std::sort(admitted.begin(), admitted.end(), [](const Decision& a, const Decision& b) { return a.from > b.from; });
  const std::vector<int64_t> tos = SortedTimes(admitted, &Decision::to);
  RankCounter inside(tos.size());
  Burst most;
  // A best window can be moved right until it begins with an admission: only those begins are tried, latest first.
  for (size_t i = 0; i < admitted.size();) {
    const int64_t begin = admitted[i].from;
    for (; i < admitted.size() && admitted[i].from == begin; ++i) inside.Add(RankOf(tos, admitted[i].to));
    const uint64_t count = inside.Below(RankOf(tos, begin + window));
    if (count > most.count) most = {count, begin};
  }
  return most;
}

Burst MostInAlignedWindow(const std::vector<Decision>& decisions, int64_t window, int64_t origin) {
  std::vector<int64_t> windows;
  for (const Decision& decision : Admitted(decisions, false)) {
    const int64_t first = FloorDivide(origin + decision.from, window);
    if (first == FloorDivide(origin + decision.to, window)) windows.push_back(first);
  }
  std::sort(windows.begin(), windows.end());
  Burst most;
  for (size_t begin = 0, end = 0; begin < windows.size(); begin = end) {
    while (end < windows.size() && windows[end] == windows[begin]) ++end;
    if (end - begin > most.count) most = {end - begin, windows[begin] * window - origin};
  }
  return most;
}

WindowDifference CompareWithExactWindows(const std::vector<Decision>& decisions, uint64_t limit, int64_t window,
                                         int64_t origin) {
  struct Counts {
    uint64_t came = 0, admitted = 0;  // for certain, of those that are judged
    uint64_t possible = 0;            // admissions, of all
  };
  std::map<int64_t, Counts> windows;
  for (const Decision& decision : decisions) {
    const int64_t first = FloorDivide(origin + decision.from, window);
    const int64_t last = FloorDivide(origin + decision.to, window);
    const bool admitted = decision.kind == Decision::Kind::kAdmitted;
    if (admitted || decision.kind == Decision::Kind::kUnknown) {
      for (int64_t number = first; number <= last; ++number) ++windows[number].possible;
    }
    if (!decision.judged || first != last) continue;
    ++windows[first].came;
    if (admitted) ++windows[first].admitted;
  }
  WindowDifference difference;
  for (const auto& [number, counts] : windows) {
    const uint64_t exact = std::min(limit, counts.came);
    difference.exact += exact;
    difference.over += counts.admitted - std::min(counts.admitted, limit);
    difference.under += exact - std::min(exact, counts.possible);
  }
  return difference;
}

FalseDecisions CompareWithExactLog(const std::vector<Decision>& decisions, uint64_t limit, int64_t window) {
  FalseDecisions result;
  for (const Decision& decision : decisions) {
    if (decision.judged && decision.kind != Decision::Kind::kUnknown) ++result.answered;
  }
  result.allowed = CountFalselyAllowed(decisions, limit, window);
  result.denied = CountFalselyDenied(decisions, limit, window);
  return result;
}

}  // namespace lab::bench
