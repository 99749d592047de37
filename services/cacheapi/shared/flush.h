#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Takes every entry and every version of a brand (version_keys.h) out of L2, and every lease before them: for when
// nobody knows which invalidations it has missed.
// What stands there afterwards was read from the database after the call: a fill that had its lease before finds it
// gone and stores nothing, one that has stored already is taken out with the entries, whose turn is after the leases'.
// (SCAN gives every key that is there from its beginning to its end.) Fills without a lease are not held back by this;
// the lifetime of entries bounds those. Processes whose L1 follows L2 are told of each entry.
//
// Walks the whole keyspace in small steps, beside other work. `done` once, with the first error, which leaves the rest
// where it was: call again. `redis` must outlive it, or be closed.
void FlushEntries(redis::Client& redis, absl::AnyInvocable<void(absl::Status)> done);

}  // namespace lab::cacheapi
