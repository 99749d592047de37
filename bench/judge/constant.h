#pragma once

#include <optional>
#include <string>

#include "bench/judge/expression.h"

// What can be said of an expression before anything was measured, so that a lab file does not promise to check what no
// run could change.
namespace lab::bench {

// The value of an expression that is the same whatever its functions and references give: "2 * 3", "0 * each.x",
// "x - x + 1ms". Found by writing it as a sum of multiples of measured terms; a product or quotient of two such terms,
// min and max of them are terms themselves.
std::optional<double> ConstantOf(const Node& node);
// The same of left - right: "each.x <= each.x + 1ms" is decided although neither side is a constant.
std::optional<double> ConstantDifference(const Node& left, const Node& right);
// The first division whose divisor is 0 whatever is measured; null when there is none.
const Node* DivisionByZero(const Node& node);

}  // namespace lab::bench
