#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace lab {

using Clock = std::chrono::steady_clock;
using Nanos = std::chrono::nanoseconds;
using Micros = std::chrono::microseconds;
using Millis = std::chrono::milliseconds;

// Parses "250us", "5ms", "1.5s", "3m", "1h" ("0" alone is zero); units ns, us, ms, s, m, h. The unit is required, a
// sign is not allowed, and what does not fit (292 years) is an error. Errors name the text and the units that are
// known.
absl::StatusOr<Nanos> ParseDuration(std::string_view text);

// For people: the shortest of "250 us", "5 ms", "1.5 s", "2 min 5 s", "3 h 10 min" that keeps three significant digits.
std::string FormatDuration(Nanos duration);
// Now, in local time by a format of strftime(3), at most 63 bytes long; by itself as ISO 8601 with the zone:
// "2026-11-21T21:41:11+0000".
std::string LocalTime(const char* format = "%Y-%m-%dT%H:%M:%S%z");

// For files: exact, and read back by ParseDuration ("1500ms", "2m", "0s").
std::string DurationText(Nanos duration);

}  // namespace lab
