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

// Parses "250us", "5ms", "1.5s", "3m", "1h" ("0" alone is zero). The unit is required. Errors name the text and the
// units that are known.
absl::StatusOr<Nanos> ParseDuration(std::string_view text);

// The shortest of "250 us", "5 ms", "1.5 s", "2 min 5 s" that keeps three significant digits.
std::string FormatDuration(Nanos duration);

}  // namespace lab
