#pragma once

// The scripts of the shared cache (lua/), as strings. They run in Redis one at a time: what a script checks and what it
// changes is one step.
namespace lab::cacheapi {

extern const char kLeaseScript[];
extern const char kSetWithLeaseScript[];
extern const char kSetIfNewerScript[];
extern const char kBuryScript[];
extern const char kGiveUpScript[];
extern const char kDeleteScript[];
extern const char kRaiseScript[];

}  // namespace lab::cacheapi
