#pragma once

#include <cstdint>

namespace lab::cacheapi {

// Versions of a brand: 1 of a new one, one more with each write; 0 of one that is not there.
//
// The one word for a change of which nobody knows the version (a row that is gone, a write that has not ended yet):
// what is told with it goes, whatever its version. It is greater than every version, so that of several changes of a
// brand the greatest is to be told; and it never is the version of an entry or of a tombstone, so that nothing made
// later is refused as older.
inline constexpr uint64_t kVersionUnknown = ~uint64_t{0};

}  // namespace lab::cacheapi
