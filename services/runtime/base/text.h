#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace lab {

// Debian builds Abseil with a string_view of its own, which does not convert from std::string_view (and on other
// systems the two are one type). View is the bridge, both ways work on both.
inline absl::string_view View(std::string_view text) { return absl::string_view(text.data(), text.size()); }

namespace internal {
template <typename T>
decltype(auto) CatArgument(const T& part) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return View(part);
  } else {
    return part;
  }
}
}  // namespace internal

// absl::StrCat that takes std::string_view too.
template <typename... Parts>
std::string Concat(const Parts&... parts) {
  return absl::StrCat(internal::CatArgument(parts)...);
}

}  // namespace lab
