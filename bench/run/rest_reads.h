#pragma once

#include "bench/run/part_kind.h"

namespace lab::bench {

// What the cache-aside API has of every brand that was written, once nobody writes any more: first what lies in Redis,
// untouched, then what each replica answers, for each window and tenant that the loads asked for. Held against the
// versions of brand_state in the database. What looks stale is read again for up to a second, since an invalidation may
// still be on its way; what is stale then stays so until it expires.
//
// Bounded: 2,000 brands (evenly over all that were written, when there are more) and 5 s.
AtRest ReadCacheAtRest(const RestRequest& request);

// An entry of the API's as it lies in Redis (services/cacheapi/entry.h): its version and until when it is fresh
// (milliseconds of the Unix epoch). False: it is none.
bool ReadEntryHead(std::string_view bytes, uint64_t* version, int64_t* fresh_until_ms);

}  // namespace lab::bench
