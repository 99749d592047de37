#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "bench/load/generator.h"

namespace lab::bench {

// A small constant load on one target, for tests to change.
inline Generator::Options TestOptions(const std::string& target, const std::string& endpoint, double per_s,
                                      double seconds) {
  LoadSpec load;
  load.name = "main";
  load.target = target;
  load.arrivals = Arrivals::kConstant;
  load.rate.per_s = per_s;
  load.keys.kind = KeySpec::Kind::kSequence;
  load.keys.count = 1000;
  load.timeout = std::chrono::seconds(30);  // a busy machine is no failure
  load.request = {{"domain", "test"}, {"key", "tenant"}};
  Generator::Options options;
  options.loads = {load};
  options.phases = {{"all", 0, seconds}};
  options.endpoints[target] = {endpoint};
  options.realtime = false;
  return options;
}

inline std::map<Outcome, size_t> Outcomes(const std::vector<Op>& ops) {
  std::map<Outcome, size_t> outcomes;
  for (const Op& op : ops) ++outcomes[op.outcome];
  return outcomes;
}

// Operations in flight at once, at most.
inline int MostInFlight(const std::vector<Op>& ops) {
  std::vector<std::pair<int64_t, int>> changes;
  for (const Op& op : ops) {
    if (op.outcome == Outcome::kDropped) continue;
    changes.emplace_back(op.sent_ns, 1);
    changes.emplace_back(op.done_ns, -1);
  }
  std::sort(changes.begin(), changes.end());  // an end before a begin at the same time
  int now = 0, most = 0;
  for (const auto& [at, change] : changes) most = std::max(most, now += change);
  return most;
}

}  // namespace lab::bench
