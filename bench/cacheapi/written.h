#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "bench/model/op.h"

namespace lab::bench::cacheapi {

// The keys that a load has written, or tried to, each with the version that its brand must have at least once every
// acknowledged write has been applied. A brand begins with version 1, and each write makes one more, once
// (deploy/sql/insights, services/cacheapi/origin): so that is the newest version that an answer told, and one more than
// there were acknowledgements, those of writes that stood in a queue among them (Answer::kQueued, which tells no
// version). 0 of a key of which nothing was acknowledged: nobody said that there is such a brand.
std::map<uint32_t, uint64_t> LeastVersions(const std::vector<Op>& ops);

}  // namespace lab::bench::cacheapi
