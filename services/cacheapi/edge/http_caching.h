#pragma once

#include <string>
#include <string_view>

#include "services/cacheapi/model/value.h"
#include "services/cacheapi/model/window.h"
#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// How long an answer may be kept by the caches between us and who asked, as of one moment: RFC 9111, 4.2 (freshness),
// and RFC 5861, 3 (stale-while-revalidate). Plain arithmetic, any thread.
struct CacheFacts {
  Nanos age{0};        // since it was computed
  Nanos fresh_for{0};  // from now on; 0 of what is stale
  Nanos stale_for{0};  // and for how much longer it may be served stale, while it is refreshed; then it is over
  Nanos lifetime{0};   // the whole time from when it was computed until it is stale
};
// `stale_while_revalidate`: for how long what is stale may be served by anybody. We and the caches before us share it:
// each is told of what is left.
CacheFacts FactsOf(const Value& value, Nanos stale_while_revalidate, Clock::time_point now);

// The same as header fields. max-age is the whole lifetime, from which a cache takes Age away (RFC 9111, 4.2.3). All
// are whole seconds, rounded so that what a cache makes of them is never more than what is left: max-age - Age <=
// fresh_for, and max-age + stale-while-revalidate - Age <= fresh_for + stale_for.
struct CacheHeaders {
  std::string age, cache_control;
};
CacheHeaders HeadersOf(const CacheFacts& facts);

// W/"v12-24h-1a2b3c4d": version, window, and a checksum of the body, because the window moves on while the version
// stays. Weak, as two bodies in 2^32 share a checksum.
std::string EntityTag(const Value& value, Window window);
// Whether an If-None-Match names this tag (RFC 9110, 13.1.2: "*", or a list of which one is equal by weak comparison).
// What of the list is no entity tag is passed over.
bool Matches(std::string_view if_none_match, std::string_view tag);

}  // namespace lab::cacheapi
