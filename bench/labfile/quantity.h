#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

// Numbers with units, as lab files and expressions write them. Values are kept in base units: seconds, bytes, 1/s.
namespace lab::bench {

// A dimension as exponents, and how to print it: "s", "1/s", "bytes", "cores", "x" (a multiple of a limit), "%" (a
// share, kept as 0 … 1), "ops" (a count), "" (a plain number). Two units are of the same kind when their exponents are
// equal.
struct Unit {
  int seconds = 0;
  int bytes = 0;
  std::string label;

  static Unit Plain() { return {}; }
  static Unit Seconds() { return {1, 0, "s"}; }
  static Unit Rate() { return {-1, 0, "1/s"}; }
  static Unit Bytes() { return {0, 1, "bytes"}; }
  static Unit Cores() { return {0, 0, "cores"}; }
  static Unit Multiple() { return {0, 0, "x"}; }
  static Unit Share() { return {0, 0, "%"}; }
  static Unit Count() { return {0, 0, "ops"}; }
  bool SameKind(const Unit& other) const { return seconds == other.seconds && bytes == other.bytes; }
};

Unit Multiply(const Unit& left, const Unit& right);
Unit Divide(const Unit& left, const Unit& right);
// "a time", "a rate", "a size", "a plain number": for messages.
std::string KindName(const Unit& unit);
// What somebody who wrote the bare `number` against this kind should have written: "25ms or 25s".
std::string HowToWrite(const Unit& unit, const std::string& number);

struct Quantity {
  double value = 0;  // base units
  Unit unit;
};

// The quantity at the front of `text` and how many characters it takes: "25ms + 1" → 25 ms, 4. A unit that is not known
// is an error. Units: ns us ms s m min h · b kb mb gb (powers of 1024) · /s /min · % · x.
absl::StatusOr<Quantity> ReadQuantity(std::string_view text, size_t* used);
// The whole text.
absl::StatusOr<Quantity> QuantityOf(std::string_view text);
// The unit alone: "ms" → 0.001 s. An unknown name ("loads") is a plain count.
Quantity UnitNamed(std::string_view name);

// "1/60" or "0.25" or "25%" → a share.
absl::StatusOr<double> ShareOf(std::string_view text);

}  // namespace lab::bench
