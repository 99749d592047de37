#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lab::cacheapi {

// The spans of time that insights are asked for: a closed set, so that a brand has a known number of keys and an
// invalidation can name them all.
enum class Window : uint8_t { kHour, kSixHours, kDay, kWeek, kMonth };
inline constexpr std::array<Window, 5> kWindows = {Window::kHour, Window::kSixHours, Window::kDay, Window::kWeek,
                                                   Window::kMonth};
inline constexpr Window kDefaultWindow = Window::kDay;

std::string_view Name(Window window);  // "1h", "6h", "24h", "7d", "30d"
std::chrono::hours Length(Window window);
// The value of `window=` as it is written above; anything else, also another way to write the same, is
// INVALID_ARGUMENT that names what is known.
absl::StatusOr<Window> ParseWindow(std::string_view text);

// A brand's id: 1 … 64 bytes of UTF-8, of ASCII only letters, digits, '.', '_' and '-', beyond it everything but
// controls, blanks, marks that nobody sees (direction, joiners, byte order), private use and non-characters. Bytes are
// compared as they are: no case folding and no normal form. INVALID_ARGUMENT says what is wrong and where.
inline constexpr size_t kMostBrandBytes = 64;
absl::Status CheckBrand(std::string_view brand);

// "insights:{acme}:w=24h". The braces are Redis Cluster's hash tag: all windows of a brand lie on one shard. No two
// pairs share a key, because a brand has neither braces nor colons. `brand` is one that CheckBrand accepts.
std::string CacheKey(std::string_view brand, Window window);
// The keys of all windows.
std::vector<std::string> CacheKeys(std::string_view brand);

}  // namespace lab::cacheapi
