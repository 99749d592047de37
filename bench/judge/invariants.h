#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bench/judge/functions.h"
#include "bench/model/result.h"

// What must hold of every trial whatever the numbers. Each invariant is one file, registered by name; it names what
// broke it, with its place on the timeline.
namespace lab::bench {

inline constexpr size_t kMaxOffenders = 20;

struct InvariantResult {
  State state = State::kInconclusive;
  std::string measured;                // "48,000 arrivals, each ended once"
  std::string why;                     // for inconclusive
  std::string no_catch;                // of a fail: why a broken variant is not caught by it, "" when it is
  std::vector<std::string> offenders;  // at most kMaxOffenders of them; also of a record that is no evidence
  uint64_t broken = 0;                 // all of them

  void Break(std::string offender);
};

struct Invariant {
  std::string name;
  std::vector<SelectorSpec> selectors;
  std::function<InvariantResult(const Trial&, const Lab&, const Selectors&)> check;
};

const std::vector<Invariant>& Invariants();
const Invariant* FindInvariant(const std::string& name);

Invariant EveryArrivalAccounted();
Invariant LimitHolds();
Invariant NeverStale();
Invariant NoStaleAtRest();
Invariant NoOpenRace();
Invariant RacesAsExpected();

}  // namespace lab::bench
