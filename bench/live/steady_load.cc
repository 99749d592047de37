#include "bench/live/steady_load.h"

#include <algorithm>

#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {

absl::StatusOr<std::string> SteadyPhase(const Lab& lab, const std::string& asked) {
  std::vector<std::string> names;
  for (const PhaseSpec& phase : lab.phases) names.push_back(phase.name);
  const std::string wanted = asked.empty() ? "steady" : asked;
  if (std::find(names.begin(), names.end(), wanted) != names.end()) return wanted;
  if (!asked.empty()) {
    return absl::InvalidArgumentError(Concat(lab.name, " has no phase \"", asked, "\"", Suggestion(asked, names)));
  }
  const auto loaded = [&lab](const std::string& phase) { return OfferedBy(SteadyLoads(lab.load, phase)) > 0; };
  for (size_t i = 1; i < names.size(); ++i) {
    const bool broken = std::any_of(lab.faults.begin(), lab.faults.end(),
                                    [&](const FaultSpec& fault) { return fault.phase == names[i]; });
    if (!broken && loaded(names[i])) return names[i];
  }
  const auto any = std::find_if(names.begin(), names.end(), loaded);
  return any == names.end() ? names.empty() ? std::string() : names.front() : *any;
}

std::vector<LoadSpec> SteadyLoads(std::vector<LoadSpec> loads, const std::string& phase) {
  for (LoadSpec& load : loads) {
    if (const auto own = load.rate.by_phase.find(phase); own != load.rate.by_phase.end()) load.rate.per_s = own->second;
    load.rate.by_phase.clear();
    load.bursts.clear();
    const bool shape =
        load.arrivals == Arrivals::kRamp || load.arrivals == Arrivals::kStep || load.arrivals == Arrivals::kSpike;
    if (shape) load.arrivals = Arrivals::kPoisson;
  }
  return loads;
}

double OfferedBy(const std::vector<LoadSpec>& loads) {
  double sum = 0;
  for (const LoadSpec& load : loads) {
    sum += load.rate.per_s * static_cast<double>(std::max<size_t>(load.lanes.size(), 1));
  }
  return sum;
}

}  // namespace lab::bench::live
