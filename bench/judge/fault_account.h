#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/judge/evidence.h"
#include "bench/judge/selection.h"
#include "bench/model/result.h"

// What a fault cost and how it ended, in values of one name for every fault. "Normal" is the phase "steady", or where
// there is none the phase before the one in which the fault begins. Each value is looked for until the next fault.
//   detect        from asking for the fault until a probe saw it
//   heal          from asking for its end until a probe saw the part well
//   right_again   from asking for its end (a blow: from when it was seen) until all is as normal (recovery.h)
//   goodput_lost  the area between the normal rate and the achieved one while a tenth or more of it was missing, from
//                 asking for the fault on; what is answered late is not subtracted: it was missing when it was due
//   lost_time     how long that was
//   attempts      calls of the store for each request served while it was in force, by the counters of the service
//   drained       from asking for its end until no more is in flight than at the worst moment of normal, for 500 ms
namespace lab::bench {

using Account = std::vector<std::pair<std::string, Evidence>>;  // by name, always all of them in this order

Account AccountOf(const Trial& trial, const Selection& streams, const FaultRecord& fault, const Phase* like);

// Of every fault and variant, the medians over its repeats that are fit to be judged.
std::vector<RecoveryAccount> AccountsOf(const Lab& lab, const std::vector<VariantEvidence>& all);

}  // namespace lab::bench
