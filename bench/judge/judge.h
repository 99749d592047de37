#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/model/result.h"

namespace lab::bench {

// Judges the trials of a run against its lab. Pure: the same trials give the same verdict. Never reads `control` when it
// judges a variant; reads it only afterwards, to ask whether a broken variant was caught.
Verdict Judge(const Lab& lab, const Run& run);

// "" when `text` is a right value expression (or comparison) of this lab, else what is wrong and the nearest right name.
// For Catalogue::check_expression.
std::string CheckExpression(const Lab& lab, const std::string& text, bool comparison);

// "25ms" → 0.025, "4000/s" → 4000, "10%" → 0.1, "64mb" → 67108864, "9.8" → 9.8.
absl::StatusOr<double> ParseQuantity(const std::string& text);
// With the unit of a value: 0.0061, "s" → "6.1 ms".
std::string FormatQuantity(double value, const std::string& unit);

std::vector<std::string> InvariantNames();

}  // namespace lab::bench
