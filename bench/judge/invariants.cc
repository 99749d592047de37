#include "bench/judge/invariants.h"

#include "bench/judge/judge.h"

namespace lab::bench {

void InvariantResult::Break(std::string offender) {
  ++broken;
  if (offenders.size() < kMaxOffenders) offenders.push_back(std::move(offender));
}

const std::vector<Invariant>& Invariants() {
  static const std::vector<Invariant> invariants = {EveryArrivalAccounted(), LimitHolds(), NeverStale(),
                                                    NoStaleAtRest(),         NoOpenRace(), RacesAsExpected()};
  return invariants;
}

const Invariant* FindInvariant(const std::string& name) {
  for (const Invariant& invariant : Invariants()) {
    if (invariant.name == name) return &invariant;
  }
  return nullptr;
}

std::vector<std::string> InvariantNames() {
  std::vector<std::string> names;
  for (const Invariant& invariant : Invariants()) names.push_back(invariant.name);
  return names;
}

}  // namespace lab::bench
