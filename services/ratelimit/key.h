#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/types/span.h"
#include "services/ratelimit/limit.h"

namespace lab::ratelimit {

// A key and its value, as in a descriptor: ("tenant", "42").
using Entry = std::pair<std::string_view, std::string_view>;

inline constexpr size_t kMaxKeyBytes = 256;

// Appends the store's key of what is limited: `rl:{domain}:<algorithm letter>:<window>:k=v|k=v`, for example
// `rl:{shop}:f:60s:tenant=42|path=/v1/posts`.
//
// No two different descriptors get one key: `%`, `=`, `|`, braces, spaces and bytes outside ASCII's visible part are
// written as %XX. The part in braces is the hash tag of Redis Cluster. A key longer than kMaxKeyBytes keeps a readable
// beginning and ends in `~` and 128 bits of the SHA-256 of the whole.
void AppendKey(std::string_view domain, const Limit& limit, absl::Span<const Entry> entries, std::string& out);

}  // namespace lab::ratelimit
