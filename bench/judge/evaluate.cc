#include "bench/judge/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_format.h"
#include "bench/judge/judge.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1e-9;

using Leaf = std::function<Evidence(const Node&)>;

Evidence WithUnit(Evidence evidence, Unit unit) {
  evidence.unit = std::move(unit);
  return evidence;
}

// The fewer samples of the two; a number is made of none and does not count.
uint64_t FewerSamples(uint64_t left, uint64_t right) {
  if (left == 0 || right == 0) return std::max(left, right);
  return std::min(left, right);
}

Evidence Binary(char op, const Evidence& left, const Evidence& right) {
  if (!left.value) return left;
  if (!right.value) return right;
  const uint64_t samples = FewerSamples(left.samples, right.samples);
  if (right.at_least && (op == '-' || op == '/')) return Evidence::None("the end of a phase cut a value off", samples);
  Evidence result = Evidence::Of(0, samples);
  result.at_least = left.at_least || right.at_least;
  result.unit = left.unit.label.empty() ? right.unit : left.unit;
  if (op == '+') result.value = *left.value + *right.value;
  if (op == '-') result.value = *left.value - *right.value;
  if (op == '*') {
    result.value = *left.value * *right.value;
    result.unit = Multiply(left.unit, right.unit);
  }
  if (op == '/') {
    result.unit = Divide(left.unit, right.unit);
    if (*right.value == 0) return WithUnit(Evidence::None("divides by 0", samples), result.unit);
    result.value = *left.value / *right.value;
  }
  return result;
}

// A value that was cut off may be larger than all the others: the maximum is then at least what is known; the minimum
// is known only when it comes from another one.
Evidence Extreme(bool maximum, const std::vector<Evidence>& list) {
  Evidence best = list.front();
  bool cut_off = false;
  for (const Evidence& evidence : list) {
    if (!evidence.value) return evidence;
    cut_off = cut_off || evidence.at_least;
    const uint64_t samples = FewerSamples(best.samples, evidence.samples);
    const bool better = maximum ? *evidence.value > *best.value : *evidence.value < *best.value;
    if (better) best = evidence;
    best.samples = samples;
  }
  if (maximum) best.at_least = cut_off;
  return best;
}

Evidence Evaluate(const Node& node, const Leaf& leaf) {
  switch (node.kind) {
    case Node::Kind::kNumber:
      return WithUnit(Evidence::Of(node.number.value, 0), node.number.unit);
    case Node::Kind::kReference:
    case Node::Kind::kCall:
      return leaf(node);
    case Node::Kind::kBinary:
      return Binary(node.op, Evaluate(node.children[0], leaf), Evaluate(node.children[1], leaf));
    default: {
      std::vector<Evidence> list;
      for (const Node& child : node.children) list.push_back(Evaluate(child, leaf));
      return Extreme(node.kind == Node::Kind::kMax, list);
    }
  }
}

// The smallest step of a quantity that is worth naming: what stands for a bound of 0, of which nothing is a multiple.
double StepOf(const Unit& unit) {
  if (unit.SameKind(Unit::Seconds())) return 1e-3;
  if (unit.SameKind(Unit::Rate())) return 1;
  if (unit.SameKind(Unit::Bytes())) return 1024 * 1024;
  return unit.label == "ops" ? 1 : 0.01;
}

double TimesAbove(double value, double bound, double step) { return bound > 0 ? value / bound : value / step; }
double TimesBelow(double value, double bound) {
  if (value > 0) return bound / value;
  return bound > 0 ? kInfinity : 1;
}

struct Sides {
  double left = 0, low = 0, high = 0;  // high: of "within", else low
  double step = 0;
  bool cut_off = false;  // left is at least this
};

bool Holds(const std::string& op, const Sides& sides) {
  const double left = sides.left;
  const double slack = kRounding * std::max(std::abs(sides.low), std::abs(sides.high));
  if (op == "<=") return left <= sides.low + slack;
  if (op == ">=") return left >= sides.low - slack;
  if (op == "<") return left < sides.low;
  if (op == ">") return left > sides.low;
  if (op == "==") return std::abs(left - sides.low) <= slack;
  return left >= sides.low - slack && left <= sides.high + slack;
}

// A value that was cut off is larger than what is known of it. Where that already lies at or beyond the upper bound,
// all is said; below it, the phase was too short to tell.
State StateOf(const std::string& op, const Sides& sides) {
  if (!sides.cut_off) return Holds(op, sides) ? State::kPass : State::kFail;
  if (sides.left < sides.high * (1 - kRounding)) return State::kInconclusive;
  return op == ">=" || op == ">" ? State::kPass : State::kFail;
}

double Excess(const std::string& op, const Sides& sides) {
  const double left = sides.left;
  if (op == "<=" || op == "<") return left - sides.low;
  if (op == ">=" || op == ">") return sides.low - left;
  if (op == "==") return std::abs(left - sides.low);
  return std::max(sides.low - left, left - sides.high);
}

double Factor(const std::string& op, const Sides& sides) {
  if (op == "<=" || op == "<") return TimesAbove(sides.left, sides.low, sides.step);
  if (op == ">=" || op == ">") return TimesBelow(sides.left, sides.low);
  return std::max(TimesAbove(sides.left, sides.high, sides.step), TimesBelow(sides.left, sides.low));
}

std::string Opposite(const std::string& op) {
  if (op == "<=") return ">";
  if (op == ">=") return "<";
  if (op == "<") return ">=";
  if (op == ">") return "<=";
  if (op == "==") return "!=";
  return "not within";
}

// Both sides in words; more digits where three would make two different sides look equal.
std::string Written(const Evidence& side, const std::string& unit, double other) {
  const std::string text = FormatQuantity(*side.value, unit);
  const bool looks_equal = *side.value != other && text == FormatQuantity(other, unit);
  const std::string exact = looks_equal ? Concat(text, absl::StrFormat(" (%.9g)", *side.value)) : text;
  return Concat(side.at_least ? "> " : "", exact);
}

}  // namespace

Evidence EvaluateValue(const Node& node, const Trial& trial, const Lab& lab) {
  return Evaluate(node, [&](const Node& call) {
    const Function* function = FindFunction(call.name);
    if (function == nullptr) return Evidence::None(Concat("unknown function ", call.name));
    const Selectors selectors(call.selectors);
    return WithUnit(function->evaluate(trial, lab, selectors), function->unit(selectors));
  });
}

Evidence EvaluateReferences(const Node& node, const Resolver& resolve) {
  return Evaluate(node, [&](const Node& reference) { return resolve(reference.variant, reference.name); });
}

Compared Compare(const Comparison& comparison, const Resolver& resolve) {
  Compared result;
  const Evidence left = EvaluateReferences(comparison.left, resolve);
  const Evidence right = EvaluateReferences(comparison.right, resolve);
  const Evidence high = comparison.high ? EvaluateReferences(*comparison.high, resolve) : right;
  result.left = left.value;
  result.right = right.value;
  result.high = high.value;
  for (const Evidence* side : {&left, &right, &high}) {
    if (side->value) continue;
    result.why = side->why;
    return result;
  }
  if (right.at_least || high.at_least) {
    result.why = "the end of a phase cut the right side off";
    return result;
  }
  const Sides sides{*left.value, *right.value, *high.value, StepOf(left.unit), left.at_least};
  result.state = StateOf(comparison.op, sides);
  if (result.state == State::kInconclusive) {
    result.why = Concat("known only to be above ", FormatQuantity(*left.value, left.unit.label),
                        " when the phase ended: too short to tell");
    return result;
  }
  const bool holds = result.state == State::kPass;
  result.excess = Excess(comparison.op, sides);
  result.factor = Factor(comparison.op, sides);
  const std::string unit = left.unit.label.empty() ? right.unit.label : left.unit.label;
  result.text = Concat(Written(left, unit, *right.value), " ", holds ? comparison.op : Opposite(comparison.op), " ",
                       Written(right, unit, *left.value));
  if (comparison.high) result.text += Concat(" .. ", Written(high, unit, *left.value));
  return result;
}

}  // namespace lab::bench
