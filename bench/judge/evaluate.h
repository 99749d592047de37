#pragma once

#include <functional>
#include <string>

#include "bench/judge/expression.h"
#include "bench/judge/functions.h"
#include "bench/model/result.h"

// Expressions against evidence.
namespace lab::bench {

// What stands behind a reference, "deny.p99_fault".
using Resolver = std::function<Evidence(const std::string& variant, const std::string& value)>;

Evidence EvaluateValue(const Node& node, const Trial& trial, const Lab& lab);
Evidence EvaluateReferences(const Node& node, const Resolver& resolve);

struct Compared {
  State state = State::kInconclusive;
  std::optional<double> left, right, high;  // high: of "within", else as right
  std::string text;                         // "6.1 ms <= 25 ms", or "5 s > 25 ms" when it does not hold
  std::string why;                          // for inconclusive
  double excess = 0;  // by how much it is missed; negative: by how much it holds; comparable among repeats
  double factor = 0;  // how many times worse than its bound; at or below 1 when it holds
};

Compared Compare(const Comparison& comparison, const Resolver& resolve);

}  // namespace lab::bench
