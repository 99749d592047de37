#pragma once

#include "bench/load/target.h"

namespace lab::bench {

// The cache-aside API over HTTP. Key i stands for the brand "brand-<i>" of the seed (deploy/sql/insights/seed.sql).
// What an answer says is kept with the operation: X-Version as its version, X-Cache and X-Cache-Tier as its answer, who
// asked (a session) and what (a read, a write, or a brand that there is not).
//
// GET /v1/brands/{brand}/insights?window=…
Target CacheApiGetTarget();
// PUT /v1/brands/{brand}/correction, each with an Idempotency-Key of its own.
Target CacheApiPutTarget();
// Both over the same keys, by a share, each for one of some sessions: what read-your-writes is asked of.
Target CacheApiMixedTarget();

}  // namespace lab::bench
