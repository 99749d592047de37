#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "services/cacheapi/model/window.h"
#include "services/runtime/base/hot_keys.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// What is asked for most: at most kMost pairs of brand and window, by a sample of the requests of the last minute or so
// (base/hot_keys.h; half is forgotten each kHalfLife). Single thread.
class WantedKeys {
 public:
  struct Key {
    std::string brand;
    Window window = kDefaultWindow;
    bool operator==(const Key& other) const { return brand == other.brand && window == other.window; }
  };
  static constexpr size_t kMost = 100;
  static constexpr Nanos kHalfLife = std::chrono::seconds(20);
  static constexpr uint64_t kSample = 16;

  explicit WantedKeys(uint64_t seed) : keys_(kMost), random_(seed) {}
  void Observe(std::string_view brand, Window window, Clock::time_point now);
  std::vector<Key> Top() const;  // most wanted first

  // A key a line, "24h acme", to be kept somewhere. Lines that are none are left out.
  static std::string ToText(const std::vector<Key>& keys);
  static std::vector<Key> FromText(std::string_view text);

 private:
  HotKeys keys_;
  Random random_;
  Clock::time_point next_{};
};

}  // namespace lab::cacheapi
