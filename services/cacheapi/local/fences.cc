#include "services/cacheapi/local/fences.h"

#include <algorithm>
#include <bit>

namespace lab::cacheapi {

Fences::Fences(size_t generations)
    : mask_(std::bit_ceil(std::max<size_t>(1, generations)) - 1), generations_(mask_ + 1, 0) {}

void Fences::AdvanceAll() { all_ += uint64_t{1} << 32; }

}  // namespace lab::cacheapi
