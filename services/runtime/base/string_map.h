#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"

namespace lab {

struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

// A map by text that is asked with views. (Abseil's own hash does not take std::string_view everywhere.)
template <typename Value, typename Key = std::string>
using StringMap = absl::flat_hash_map<Key, Value, StringHash, std::equal_to<>>;

}  // namespace lab
