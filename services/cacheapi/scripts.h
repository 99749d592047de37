#pragma once

// The scripts of the shared cache and of the queue of writes (lua/), as strings. They run in Redis one at a time: what a
// script checks and what it changes is one step.
namespace lab::cacheapi {

extern const char kLeaseScript[];
extern const char kSetWithLeaseScript[];
extern const char kSetIfNewerScript[];
extern const char kBuryScript[];
extern const char kGiveUpScript[];
extern const char kDeleteScript[];
extern const char kQueueAppendScript[];
extern const char kQueueDoneScript[];
extern const char kQueueHoldScript[];
extern const char kQueueStateScript[];
extern const char kQueueTakeScript[];

}  // namespace lab::cacheapi
