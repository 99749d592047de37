#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "bench/judge/judge.h"
#include "bench/labfile/quantity.h"
#include "services/runtime/base/text.h"

// Quantities in and out of text.
namespace lab::bench {
namespace {

// Three significant digits without trailing zeros; whole thousands with separators.
std::string Digits(double value) {
  const double size = std::abs(value);
  if (size >= 999.5) {
    const std::string whole = absl::StrFormat("%.0f", size);
    std::string text = value < 0 ? "-" : "";
    for (size_t i = 0; i < whole.size(); ++i) {
      if (i > 0 && (whole.size() - i) % 3 == 0) text += ',';
      text += whole[i];
    }
    return text;
  }
  const int decimals = size >= 99.95 ? 0 : size >= 9.995 ? 1 : size >= 0.995 ? 2 : size >= 0.0995 ? 3 : 4;
  std::string text = absl::StrFormat("%.*f", decimals, value);
  if (text.find('.') == std::string::npos) return text;
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string Scaled(double value, double factor, const char* unit) { return Concat(Digits(value / factor), " ", unit); }

std::string Seconds(double value) {
  const double size = std::abs(value);
  if (size == 0) return "0 s";
  if (size < 0.9995e-6) return Scaled(value, 1e-9, "ns");
  if (size < 0.9995e-3) return Scaled(value, 1e-6, "µs");
  if (size < 0.9995) return Scaled(value, 1e-3, "ms");
  return Scaled(value, 1, "s");
}

std::string Bytes(double value) {
  const double size = std::abs(value);
  constexpr double kKiB = 1024;
  if (size < kKiB) return Scaled(value, 1, "bytes");
  if (size < kKiB * kKiB) return Scaled(value, kKiB, "KiB");
  if (size < kKiB * kKiB * kKiB) return Scaled(value, kKiB * kKiB, "MiB");
  return Scaled(value, kKiB * kKiB * kKiB, "GiB");
}

}  // namespace

absl::StatusOr<double> ParseQuantity(const std::string& text) {
  const absl::StatusOr<Quantity> quantity = QuantityOf(text);
  if (!quantity.ok()) return quantity.status();
  return quantity->value;
}

absl::StatusOr<double> ParseQuantityIn(const std::string& text, const std::string& unit) {
  std::string bare = text;
  bare.erase(std::remove(bare.begin(), bare.end(), ' '), bare.end());
  const absl::StatusOr<Quantity> quantity = QuantityOf(bare);
  if (!quantity.ok()) return quantity.status();
  const Quantity asked = UnitNamed(unit);
  if (quantity->unit.label.empty()) return quantity->value * asked.value;
  if (quantity->unit.SameKind(asked.unit)) return quantity->value;
  return absl::InvalidArgumentError(Concat("\"", text, "\" is ", KindName(quantity->unit), ", the question asks for ",
                                           KindName(asked.unit), unit.empty() ? "" : Concat(" in ", unit)));
}

std::string FormatQuantity(double value, const std::string& unit) {
  if (!std::isfinite(value)) return "–";
  const Quantity named = UnitNamed(unit);
  const std::string& label = named.unit.label;
  if (label == "s") return Seconds(value);
  if (label == "bytes") return Bytes(value);
  if (label == "1/s" || unit == "1/s") return Concat(Digits(value), "/s");
  if (label == "%") return Concat(Digits(value * 100), " %");
  if (unit.empty()) return Digits(value);
  if (unit == "ops") return Digits(value);
  return Concat(Digits(value), " ", unit);  // "x", "cores", "loads"
}

std::string FormatMeasured(const Measured& measured) {
  if (!measured.value) return "–";
  return Concat(measured.at_least ? "> " : "", FormatQuantity(*measured.value, measured.unit));
}

}  // namespace lab::bench
