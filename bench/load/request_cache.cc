#include "bench/load/request_cache.h"

#include <utility>

#include "bench/load/driver.h"

namespace lab::bench {

RequestCache::RequestCache(const Target& target, BodyWriter writer, uint32_t keys)
    : target_(target), writer_(std::move(writer)) {
  if (keys > kMostCached) return;
  ends_.reserve(keys);
  for (uint32_t key = 0; key < keys; ++key) {
    text_ += FrameRequest(target_.protocol, target_.path, writer_(key));
    ends_.push_back(text_.size());
  }
}

std::string_view RequestCache::For(uint32_t key, std::string* own) const {
  if (key < ends_.size()) {
    const size_t begin = key == 0 ? 0 : ends_[key - 1];
    return std::string_view(text_).substr(begin, ends_[key] - begin);
  }
  *own = FrameRequest(target_.protocol, target_.path, writer_(key));
  return *own;
}

}  // namespace lab::bench
