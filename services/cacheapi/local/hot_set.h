#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/base/hot_keys.h"
#include "services/runtime/base/string_map.h"
#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// Which keys are hot just now: those that certainly had a share of the requests lately (a bounded sketch that forgets
// half each period). A key becomes hot at `enter` and stays it until its share falls below `leave`, so that one at the
// edge does not flap. At most 1 / leave keys are hot. Single thread, no clock: `now` never goes back.
class HotSet {
 public:
  struct Options {
    size_t counters = 64;  // more than 1 / leave; finding one looks at all of them
    double enter = 0.10;   // share of the sample, 0 … 1; more than 1 / counters
    double leave = 0.05;   // at most `enter`
    Nanos period = std::chrono::seconds(1);
    uint32_t sample = 16;      // one request in so many is looked at
    uint64_t least_hits = 50;  // of the sample, before any share means something
  };
  explicit HotSet(const Options& options) : options_(options), sketch_(options.counters) {}

  // A request for `key`. `random` is the caller's draw, any 64 bits.
  void Observe(std::string_view key, uint64_t random, Clock::time_point now);
  bool IsHot(std::string_view key) const { return !hot_.empty() && hot_.contains(key); }
  std::vector<std::string> Keys() const;  // sorted

 private:
  void Review();

  const Options options_;
  HotKeys sketch_;
  StringMap<bool> hot_;
  Clock::time_point next_{};
};

}  // namespace lab::cacheapi
