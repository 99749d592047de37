#pragma once

#include "bench/model/rest_request.h"
#include "bench/model/trial.h"

namespace lab::bench::cacheapi {

// What the cache-aside API has of every brand that was written, once nobody writes any more: by the load (whatever
// became of it) or, as the database says, by anybody. All of them, in this order, so that reading makes nothing cached
// that was not:
//   place "postgres"    the version of brand_state, once all that was acknowledged is there: waited for while it
//                       becomes less (a queue that is being applied), and 3 s longer
//   place "redis"       every fresh entry of them, found by SCAN: all windows, copies of hot keys, versioned keys with
//                       the key that names their version (but not entries of versions that nobody goes by any more)
//   each replica        what it answers, for each window and tenant that the loads asked for; all replicas side by
//                       side, each by four connections
// What differs from the database is read again, the database too, while it becomes less and 3 s longer, since an
// invalidation may still be on its way; what is stale then stays so until it expires.
//
// Bounded: 100,000 brands, 5 s and 100 ms more for each key (a load of the database), 30 s more for what is read again.
// Beyond, or where something is not answered, `why` says so.
AtRest ReadAtRest(const RestRequest& request);

}  // namespace lab::bench::cacheapi
