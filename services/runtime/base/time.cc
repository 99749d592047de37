#include "services/runtime/base/time.h"

#include <array>
#include <cmath>
#include <cstdlib>
#include <ctime>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "services/runtime/base/text.h"

namespace lab {
namespace {

struct Unit {
  std::string_view name;
  int64_t ns;
};

constexpr std::array<Unit, 6> kUnits = {{{"ns", 1},
                                         {"us", 1'000},
                                         {"ms", 1'000'000},
                                         {"s", 1'000'000'000},
                                         {"m", 60'000'000'000},
                                         {"h", 3'600'000'000'000}}};

absl::Status BadDuration(std::string_view text) {
  return absl::InvalidArgumentError(
      Concat("\"", text.substr(0, 40), "\" is not a duration; write a number and a unit: ns, us, ms, s, m, h"));
}

// "1.50" → "1.5": three significant digits of a value below 1000, without trailing zeros.
std::string ThreeDigits(double value) {
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::string text = absl::StrFormat("%.*f", decimals, value);
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string TwoUnits(int64_t small, int64_t ratio, std::string_view large_name, std::string_view small_name) {
  std::string text = Concat(small / ratio, " ", large_name);
  if (small % ratio != 0) text += Concat(" ", small % ratio, " ", small_name);
  return text;
}

}  // namespace

absl::StatusOr<Nanos> ParseDuration(std::string_view text) {
  if (text == "0") return Nanos(0);
  const size_t digits = text.find_first_not_of("0123456789.");
  if (digits == 0 || digits == std::string_view::npos) return BadDuration(text);
  const std::string_view number = text.substr(0, digits);
  const std::string_view unit = text.substr(digits);
  double value = 0;
  if (!absl::SimpleAtod(View(number), &value)) return BadDuration(text);
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    // Whole numbers stay exact; only a fraction goes through a double.
    int64_t whole = 0;
    if (absl::SimpleAtoi(View(number), &whole) && whole <= INT64_MAX / known.ns) return Nanos(whole * known.ns);
    const double ns = value * static_cast<double>(known.ns);
    if (!(ns < 9.2e18)) return absl::InvalidArgumentError(Concat("\"", text.substr(0, 40), "\" is too long"));
    return Nanos(std::llround(ns));
  }
  return BadDuration(text);
}

std::string FormatDuration(Nanos duration) {
  if (duration < Nanos(0)) {
    if (duration == Nanos::min()) duration = -Nanos::max();
    return Concat("-", FormatDuration(-duration));
  }
  const double ns = static_cast<double>(duration.count());
  if (duration.count() == 0) return "0 s";
  // The limits are where rounding to three digits would print 1000 of the smaller unit.
  if (ns < 999.5) return Concat(duration.count(), " ns");
  if (ns < 999.5e3) return Concat(ThreeDigits(ns / 1e3), " µs");
  if (ns < 999.5e6) return Concat(ThreeDigits(ns / 1e6), " ms");
  if (ns < 59.95e9) return Concat(ThreeDigits(ns / 1e9), " s");
  const int64_t seconds = std::llround(ns / 1e9);
  if (seconds < 3600) return TwoUnits(seconds, 60, "min", "s");
  return TwoUnits(std::llround(ns / 60e9), 60, "h", "min");
}

std::string DurationText(Nanos duration) {
  const int64_t ns = duration.count();
  if (ns == 0) return "0s";
  for (auto unit = kUnits.rbegin(); unit != kUnits.rend(); ++unit) {
    if (ns % unit->ns == 0) return Concat(ns / unit->ns, unit->name);
  }
  return Concat(ns, "ns");
}

std::string LocalTime(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[64];
  std::strftime(text, sizeof(text), format, &local);
  return text;
}

}  // namespace lab
