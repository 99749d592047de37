#include <algorithm>
#include <set>
#include <vector>

#include "bench/labfile/parsing.h"
#include "services/runtime/base/random.h"

// When each fault of a lab happens in a trial.
namespace lab::bench {
namespace {

FaultSpec Placed(const FaultSpec& declared, const PhaseSpec& phase) {
  FaultSpec fault = declared;
  fault.offset = declared.offset + ShareOfPhase(phase.length, declared.offset_share);
  fault.offset_share = 0;
  fault.length_share = 0;
  fault.every = Nanos(0);
  fault.random.reset();
  if (declared.length_share > 0) fault.length = ShareOfPhase(phase.length - fault.offset, declared.length_share);
  return fault;
}

void AddDeclared(const FaultSpec& declared, const PhaseSpec& phase, std::vector<FaultSpec>& faults) {
  FaultSpec fault = Placed(declared, phase);
  faults.push_back(fault);
  if (declared.every <= Nanos(0)) return;
  for (size_t i = 1; i < kMostOccurrences && fault.offset + declared.every < phase.length; ++i) {
    fault.offset += declared.every;
    faults.push_back(fault);
  }
}

Nanos Between(Random& random, Nanos least, Nanos most) {
  return least + Nanos(static_cast<int64_t>(random.Below(static_cast<uint64_t>((most - least).count()) + 1)));
}

// Of the choices of one entry, which share all but fault, part and replicas.
void AddDrawn(const std::vector<const FaultSpec*>& choices, const PhaseSpec& phase, uint64_t seed,
              std::vector<FaultSpec>& faults) {
  const RandomSpec& times = *choices.front()->random;
  // Each entry draws by itself: another one added to the file changes nothing of it.
  Random random(Mix(seed) ^ Mix(static_cast<uint64_t>(times.entry) + 1));
  FaultSpec fault = Placed(*choices.front(), phase);
  Nanos at = fault.offset;
  for (size_t i = 0; i < kMostOccurrences; ++i) {
    at += Between(random, times.every_least, times.every_most);
    const Nanos length = Between(random, times.length_least, times.length_most);
    const FaultSpec& choice = *choices[random.Below(choices.size())];
    fault = Placed(choice, phase);
    fault.replica = static_cast<int>(random.Below(static_cast<uint64_t>(choice.random->replicas)));
    fault.offset = at;
    fault.length = length;
    if (at + length > phase.length) return;
    faults.push_back(fault);
  }
}

}  // namespace

std::vector<FaultSpec> FaultsOf(const Lab& lab, bool quick, uint64_t seed) {
  const std::vector<PhaseSpec> phases = PhasesOf(lab, quick);
  std::vector<FaultSpec> faults;
  std::set<int> drawn;  // entries
  for (const FaultSpec& declared : lab.faults) {
    const PhaseSpec* phase = FindPhase(phases, declared.phase);
    if (phase == nullptr) continue;
    if (!declared.random) {
      AddDeclared(declared, *phase, faults);
      continue;
    }
    if (!drawn.insert(declared.random->entry).second) continue;
    std::vector<const FaultSpec*> choices;
    for (const FaultSpec& other : lab.faults) {
      if (other.random && other.random->entry == declared.random->entry) choices.push_back(&other);
    }
    AddDrawn(choices, *phase, seed, faults);
  }
  return faults;
}

}  // namespace lab::bench
