#pragma once

// The scripts of the queue of writes (lua/), as strings. They run in Redis one at a time: what a script checks and what
// it changes is one step.
namespace lab::cacheapi {

extern const char kQueueAppendScript[];
extern const char kQueueDoneScript[];
extern const char kQueueHoldScript[];
extern const char kQueueStateScript[];
extern const char kQueueTakeScript[];

}  // namespace lab::cacheapi
