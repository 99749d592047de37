#include "bench/labfile/quantity.h"

#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kKiB = 1024;

struct Named {
  const char* name;
  double factor;
  Unit (*unit)();
};

const std::vector<Named>& Units() {
  static const std::vector<Named> units = {
      {"ns", 1e-9, &Unit::Seconds},
      {"us", 1e-6, &Unit::Seconds},
      {"ms", 1e-3, &Unit::Seconds},
      {"s", 1, &Unit::Seconds},
      {"m", 60, &Unit::Seconds},
      {"min", 60, &Unit::Seconds},
      {"h", 3600, &Unit::Seconds},
      {"b", 1, &Unit::Bytes},
      {"bytes", 1, &Unit::Bytes},
      {"kb", kKiB, &Unit::Bytes},
      {"mb", kKiB * kKiB, &Unit::Bytes},
      {"gb", kKiB * kKiB * kKiB, &Unit::Bytes},
      {"kib", kKiB, &Unit::Bytes},
      {"mib", kKiB * kKiB, &Unit::Bytes},
      {"gib", kKiB * kKiB * kKiB, &Unit::Bytes},
      {"/s", 1, &Unit::Rate},
      {"/min", 1.0 / 60, &Unit::Rate},
      {"%", 0.01, &Unit::Share},
      {"x", 1, &Unit::Multiple},
  };
  return units;
}

const Named* Find(std::string_view name) {
  for (const Named& unit : Units()) {
    if (name == unit.name) return &unit;
  }
  return nullptr;
}

bool Letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

// What may be a unit at the front of `text`: letters, "%", or "/" with letters right behind it.
std::string_view UnitText(std::string_view text) {
  if (text.empty()) return {};
  if (text[0] == '%') return text.substr(0, 1);
  const size_t begin = text[0] == '/' ? 1 : 0;
  size_t end = begin;
  while (end < text.size() && Letter(text[end])) ++end;
  return end == begin ? std::string_view() : text.substr(0, end);
}

std::string DefaultLabel(int seconds, int bytes) {
  if (seconds == 1 && bytes == 0) return "s";
  if (seconds == -1 && bytes == 0) return "1/s";
  if (seconds == 0 && bytes == 1) return "bytes";
  return "";
}

}  // namespace

Unit Multiply(const Unit& left, const Unit& right) {
  Unit unit{left.seconds + right.seconds, left.bytes + right.bytes, ""};
  // "2 * a share" is still a share.
  if (unit.SameKind(left) && right.label.empty()) return left;
  if (unit.SameKind(right) && left.label.empty()) return right;
  unit.label = DefaultLabel(unit.seconds, unit.bytes);
  return unit;
}

Unit Divide(const Unit& left, const Unit& right) {
  Unit unit{left.seconds - right.seconds, left.bytes - right.bytes, ""};
  if (unit.SameKind(left) && right.label.empty()) return left;
  unit.label = DefaultLabel(unit.seconds, unit.bytes);
  return unit;
}

std::string KindName(const Unit& unit) {
  if (unit.SameKind(Unit::Plain())) return "a plain number";
  if (unit.SameKind(Unit::Seconds())) return "a time";
  if (unit.SameKind(Unit::Rate())) return "a rate";
  if (unit.SameKind(Unit::Bytes())) return "a size";
  return Concat("seconds^", unit.seconds, " bytes^", unit.bytes);
}

std::string HowToWrite(const Unit& unit, const std::string& number) {
  if (unit.SameKind(Unit::Seconds())) return Concat(number, "ms or ", number, "s");
  if (unit.SameKind(Unit::Rate())) return Concat(number, "/s");
  if (unit.SameKind(Unit::Bytes())) return Concat(number, "kb or ", number, "mb");
  return number;
}

absl::StatusOr<Quantity> ReadQuantity(std::string_view text, size_t* used) {
  const bool starts_right = !text.empty() && ((text[0] >= '0' && text[0] <= '9') || text[0] == '.');
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (!starts_right || error != std::errc()) {
    return absl::InvalidArgumentError(Concat("\"", text.substr(0, 40), "\" is not a number"));
  }
  const size_t digits = end - text.data();
  const std::string_view unit_text = UnitText(text.substr(digits));
  Quantity quantity{number, Unit::Plain()};
  *used = digits;
  if (unit_text.empty()) return quantity;
  const Named* unit = Find(unit_text);
  if (unit == nullptr) {
    // "a/b" and "2/limit" are divisions, which the caller reads on; letters right behind a number can only be a unit.
    if (unit_text[0] == '/') return quantity;
    std::vector<std::string> known;
    for (const Named& candidate : Units()) known.push_back(candidate.name);
    return absl::InvalidArgumentError(Concat("unknown unit \"", unit_text, "\" in \"",
                                             text.substr(0, digits + unit_text.size()), "\"",
                                             Suggestion(unit_text, known)));
  }
  quantity.value = number * unit->factor;
  quantity.unit = unit->unit();
  *used = digits + unit_text.size();
  return quantity;
}

absl::StatusOr<Quantity> QuantityOf(std::string_view text) {
  size_t used = 0;
  absl::StatusOr<Quantity> quantity = ReadQuantity(text, &used);
  if (!quantity.ok()) return quantity;
  if (used != text.size() || !std::isfinite(quantity->value)) {
    return absl::InvalidArgumentError(Concat(
        "\"", text.substr(0, 40), "\" is not a quantity; write a number and its unit, as 25ms, 4000/s, 10%, 64mb"));
  }
  return quantity;
}

Quantity UnitNamed(std::string_view name) {
  const Named* unit = Find(name);
  if (unit == nullptr) return {1, Unit::Plain()};
  return {unit->factor, unit->unit()};
}

absl::StatusOr<double> ShareOf(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    absl::StatusOr<Quantity> quantity = QuantityOf(text);
    if (!quantity.ok()) return quantity.status();
    if (!quantity->unit.SameKind(Unit::Plain())) {
      return absl::InvalidArgumentError(Concat("\"", text, "\" is not a share; write 10% or 1/60"));
    }
    return quantity->value;
  }
  absl::StatusOr<Quantity> above = QuantityOf(text.substr(0, slash));
  absl::StatusOr<Quantity> below = QuantityOf(text.substr(slash + 1));
  if (!above.ok() || !below.ok() || below->value <= 0) {
    return absl::InvalidArgumentError(Concat("\"", text.substr(0, 40), "\" is not a share; write 10% or 1/60"));
  }
  return above->value / below->value;
}

}  // namespace lab::bench
