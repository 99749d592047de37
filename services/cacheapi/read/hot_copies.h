#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "services/cacheapi/local/hot_set.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Under which name of L2 a key is read and filled: a key that is hot in this process goes by one of its `copies`, drawn
// anew each time (split_key.h); all others by their own name. Each copy has a lease, a lifetime and a fill of its own.
//
// Right against invalidations (race 20), because every writer everywhere deletes the key and all of its copies with
// their leases in one step, whether they are hot or not (Writer::Options::copies). So all processes must have the same
// `copies`, and it must be set everywhere before any process reads copies (hot.enabled).
//
// The price: as many fills as there are copies for each invalidation or expiry of a hot key, and deletes that name so
// many times more keys. On one Redis server it spreads nothing but what is per key; what it is for is many shards.
// On the loop's thread.
//   cacheapi_hot_keys, cacheapi_hot_reads_total (reads of L2 that went to a copy)
class HotCopies {
 public:
  struct Options {
    HotSet::Options hot;
    size_t copies = 4;  // at least 1
  };
  HotCopies(const Options& options, obs::Metrics& metrics, uint64_t seed);

  // A request for `key`, wherever it will be answered from.
  void Observe(std::string_view key, Clock::time_point now);
  bool IsHot(std::string_view key) const { return hot_.IsHot(key); }
  // The name for `stored`, which is `key` or a name made of it.
  std::string NameFor(std::string_view key, std::string stored);

 private:
  const Options options_;
  HotSet hot_;
  Random random_;
  obs::Gauge& keys_;
  obs::Counter& reads_;
  Clock::time_point shown_{};
};

}  // namespace lab::cacheapi
