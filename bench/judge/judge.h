#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/lab.h"
#include "bench/model/result.h"

namespace lab::bench {

struct VariantEvidence;

// Judges the trials of a run against its lab. Pure: the same trials give the same verdict. Never reads `control` when
// it judges a variant; reads it only afterwards, to ask whether a broken variant was caught.
Verdict Judge(const Lab& lab, const Run& run);
// The same, of what CollectEvidence (bench/judge/evidence.h) has made of this run.
Verdict Judge(const Lab& lab, const Run& run, const std::vector<VariantEvidence>& all);

// "" when `text` is right for this use in this lab (names, selectors, units), else what is wrong, at which column, and
// the nearest right name. For Catalogue::check_expression.
std::string CheckExpression(const Lab& lab, const std::string& text, ExpressionUse use);

// "25ms" → 0.025, "4000/s" → 4000, "10%" → 0.1, "64mb" → 67108864, "9.8" → 9.8.
absl::StatusOr<double> ParseQuantity(const std::string& text);
// The same, with the unit of a question for a bare number: "50" asked in "ms" → 0.05.
absl::StatusOr<double> ParseQuantityIn(const std::string& text, const std::string& unit);
// With the unit of a value: 0.0061, "s" → "6.1 ms".
std::string FormatQuantity(double value, const std::string& unit);
// The value with its unit, "> 2.0 s" for one that is at least that, "–" without one.
std::string FormatMeasured(const Measured& measured);

std::vector<std::string> InvariantNames();

}  // namespace lab::bench
