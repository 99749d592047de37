#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/cacheapi/names.h"
#include "bench/observe/resp.h"

namespace lab::bench::cacheapi {

// An entry, or the key of a brand's version, as it lies in Redis and as any reader takes it: whole at its front, and
// fresh.
struct FreshEntry {
  std::string key;
  StoredName name;
  uint64_t version = 0;
};

// All of them, by SCAN, so that neither windows, copies nor versioned keys have to be known beforehand; nothing is
// changed. What is stale, a tombstone or of something else is left out. Entries that are written meanwhile may be there
// or not. `go_on` is asked between batches; CANCELLED when it says no. Errors as of RespConnection.
absl::StatusOr<std::vector<FreshEntry>> ScanFresh(RespConnection& redis, const std::function<bool()>& go_on);
// The same of these keys, in any order.
absl::StatusOr<std::vector<FreshEntry>> ReadFresh(RespConnection& redis, const std::vector<std::string>& keys);

}  // namespace lab::bench::cacheapi
