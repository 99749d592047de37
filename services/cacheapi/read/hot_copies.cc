#include "services/cacheapi/read/hot_copies.h"

#include <algorithm>

#include "services/cacheapi/model/split_key.h"

namespace lab::cacheapi {

HotCopies::HotCopies(const Options& options, obs::Metrics& metrics, uint64_t seed)
    : options_{options.hot, std::max<size_t>(1, options.copies)},
      hot_(options.hot),
      random_(seed),
      keys_(metrics.AddGauge("cacheapi_hot_keys", "Keys that are hot in this process now")),
      reads_(metrics.AddCounter("cacheapi_hot_reads_total", "Reads of L2 that went to a copy of a hot key")) {}

void HotCopies::Observe(std::string_view key, Clock::time_point now) {
  hot_.Observe(key, random_.Next(), now);
  if (now < shown_) return;
  shown_ = now + options_.hot.period;
  keys_.Set(static_cast<double>(hot_.Keys().size()));
}

std::string HotCopies::NameFor(std::string_view key, std::string stored) {
  if (!hot_.IsHot(key)) return stored;
  reads_.Increment();
  return SplitKey(stored, random_.Below(options_.copies));
}

}  // namespace lab::cacheapi
