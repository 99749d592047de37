#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/model/trial.h"

namespace lab::bench::ui {

// Who talks to whom, for the picture of the system: pairs of names of parts, the generator being "load". What a part
// talks to is not written down anywhere; a part is given the address of every part of another kind that was started
// before it. `targets` of the loads, "ratelimit.grpc".
std::vector<std::pair<std::string, std::string>> LinksOf(const std::vector<PartInfo>& parts,
                                                         const std::vector<std::string>& targets);

// Whether a metric tells how much waits or is under way (a queue, a pool), by its name: "redis_outstanding".
bool IsDepth(const std::string& metric);

}  // namespace lab::bench::ui
