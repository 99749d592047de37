#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/target.h"

namespace lab::bench {

// Framed requests by key: written before the load starts where there are few keys, else one by one.
class RequestCache {
 public:
  RequestCache(const Target& target, BodyWriter writer, uint32_t keys);
  // Valid as long as the cache and *own, which holds the request of a key that is not cached.
  std::string_view For(uint32_t key, std::string* own) const;

 private:
  static constexpr uint32_t kMostCached = 100'000;

  const Target& target_;
  BodyWriter writer_;
  std::string text_;
  std::vector<size_t> ends_;
};

}  // namespace lab::bench
