#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/observe/pg_wire.h"

namespace lab::bench::cacheapi {

// What the database has of the brands of a load (brand_state): key → version. Errors as of PgConnection.
using Versions = std::map<uint32_t, uint64_t>;

// All that have been written since they were made, `most` of them at most, the lowest keys first.
absl::StatusOr<Versions> WrittenBrands(PgConnection& database, size_t most);
// Of these keys; 0 of one that is not there. Asked for a thousand at a time.
absl::StatusOr<Versions> VersionsOf(PgConnection& database, const std::vector<uint32_t>& keys);

}  // namespace lab::bench::cacheapi
