#include "bench/judge/constant.h"

#include <cmath>
#include <map>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

// constant + Σ factor x term, terms by their canonical text.
struct Sum {
  double constant = 0;
  std::map<std::string, double> terms;

  bool fixed() const { return terms.empty(); }
};

Sum Of(const Node& node);

// Equal for expressions that are written alike, but for spaces and units ("1s", "1000ms").
std::string Canonical(const Node& node) {
  if (node.kind == Node::Kind::kNumber) return std::to_string(node.number.value);
  std::string text = Concat(static_cast<int>(node.kind), node.op == 0 ? "" : std::string(1, node.op), node.variant, ".",
                            node.name, "(");
  for (const Selector& selector : node.selectors) text += Concat(selector.name, "=", selector.text, ",");
  for (const Node& child : node.children) text += Canonical(child) + ",";
  return text + ")";
}

Sum Add(Sum left, const Sum& right, double factor) {
  left.constant += factor * right.constant;
  for (const auto& [term, count] : right.terms) {
    double& sum = left.terms[term];
    sum += factor * count;
    if (std::abs(sum) <= 1e-12 * std::abs(factor * count)) left.terms.erase(term);
  }
  return left;
}

Sum Scaled(const Sum& sum, double factor) { return factor == 0 ? Sum{} : Add({}, sum, factor); }

Sum OfBinary(const Node& node) {
  const Sum left = Of(node.children[0]), right = Of(node.children[1]);
  const Sum opaque{0, {{Canonical(node), 1}}};
  switch (node.op) {
    case '+':
      return Add(left, right, 1);
    case '-':
      return Add(left, right, -1);
    case '*':
      if (left.fixed()) return Scaled(right, left.constant);
      return right.fixed() ? Scaled(left, right.constant) : opaque;
    default:
      if (right.fixed()) return right.constant == 0 ? opaque : Scaled(left, 1 / right.constant);
      if (left.fixed() && left.constant == 0) return {};
      return Canonical(node.children[0]) == Canonical(node.children[1]) ? Sum{1, {}} : opaque;
  }
}

Sum OfList(const Node& node) {
  Sum best = Of(node.children[0]);
  for (const Node& child : node.children) {
    const Sum sum = Of(child);
    if (!sum.fixed()) return {0, {{Canonical(node), 1}}};
    const bool better = node.kind == Node::Kind::kMin ? sum.constant < best.constant : sum.constant > best.constant;
    if (better) best = sum;
  }
  return best;
}

Sum Of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNumber:
      return {node.number.value, {}};
    case Node::Kind::kBinary:
      return OfBinary(node);
    case Node::Kind::kMin:
    case Node::Kind::kMax:
      return OfList(node);
    default:
      return {0, {{Canonical(node), 1}}};
  }
}

std::optional<double> Constant(const Sum& sum) {
  if (!sum.fixed()) return std::nullopt;
  return sum.constant;
}

}  // namespace

std::optional<double> ConstantOf(const Node& node) { return Constant(Of(node)); }

std::optional<double> ConstantDifference(const Node& left, const Node& right) {
  return Constant(Add(Of(left), Of(right), -1));
}

const Node* DivisionByZero(const Node& node) {
  if (node.kind == Node::Kind::kBinary && node.op == '/' && ConstantOf(node.children[1]) == 0.0) return &node;
  for (const Node& child : node.children) {
    if (const Node* found = DivisionByZero(child)) return found;
  }
  return nullptr;
}

}  // namespace lab::bench
