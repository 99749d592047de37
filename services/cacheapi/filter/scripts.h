#pragma once

// The scripts of the filter (lua/), as strings. They run in Redis one at a time: what a script checks and what it
// changes is one step.
namespace lab::cacheapi {

extern const char kBloomCheckScript[];
extern const char kBloomAddScript[];
extern const char kBloomLookScript[];
extern const char kBloomBeginScript[];
extern const char kBloomBringScript[];
extern const char kBloomSwitchScript[];

}  // namespace lab::cacheapi
