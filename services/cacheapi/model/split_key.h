#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace lab::cacheapi {

// Copies of a hot key under names of their own, so that no one shard, connection or lock carries all of it: "k#0" …
// "k#n-1". In a key with a hash tag the number goes into the tag ("a:{b#0}:c"), else all copies would lie on one shard.
//
// The price is that an invalidation has to reach the key and every copy: one that is forgotten makes 1/n of the reads
// stale. Which keys are split is known to each replica only for itself, so delete the copies of every key that might
// be, with the same n everywhere. On one server a script deletes key and copies in one step. On Redis Cluster they lie
// on several shards, by design, and a script may only name keys of one: there it takes a delete for each of them, sent
// again until all have been acknowledged, and until then one copy may already be new while another is still old.
std::string SplitKey(std::string_view key, size_t copy);
// The key itself and its `copies` copies: what an invalidation deletes.
std::vector<std::string> KeyAndCopies(std::string_view key, size_t copies);
// The key that this is a copy of, or itself: for who is told by Redis of one that has changed. Of keys that had no '#'
// of their own, as those of brands.
std::string WithoutCopy(std::string_view key);

}  // namespace lab::cacheapi
