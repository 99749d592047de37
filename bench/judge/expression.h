#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/labfile/quantity.h"

// The small language of values and expectations, as a tree. Grammar (README.md has it with examples):
//   comparison = value ( "<=" | ">=" | "<" | ">" | "==" ) value | value "within" value ".." value
//   value      = term { ("+" | "-") term }          a minus has a space on each side: "-" is a letter of names
//   term       = factor { ("*" | "/") factor }
//   factor     = number [unit] | variant "." name | function [ "{" selector "=" text, … "}" ]
//              | ("min" | "max") "(" value, … ")" | "(" value ")"
// Errors are INVALID_ARGUMENT and begin with "column N: ".
namespace lab::bench {

struct Selector {
  std::string name;
  std::string text;
  size_t at = 0;  // 0-based place in the expression
};

struct Node {
  enum class Kind { kNumber, kReference, kCall, kBinary, kMin, kMax };
  Kind kind = Kind::kNumber;
  size_t at = 0;
  Quantity number;
  std::string written;              // a number as it was written, for messages
  std::string variant;              // of a reference; "each" for any
  std::string name;                 // of a reference: the value; of a call: the function
  std::vector<Selector> selectors;  // of a call
  char op = 0;                      // of a binary: + - * /
  std::vector<Node> children;
};

struct Comparison {
  std::string op;  // "<=", …, "within"
  Node left, right;
  std::optional<Node> high;  // within: right .. high
};

absl::StatusOr<Node> ParseValue(std::string_view text);
absl::StatusOr<Comparison> ParseComparison(std::string_view text);
// One name with selectors, as an invariant is written.
absl::StatusOr<Node> ParseCall(std::string_view text);

// INVALID_ARGUMENT "column N: text".
absl::Status ErrorAt(size_t at, std::string_view text);

// Calls `visit` for this node and all below it.
template <typename Visit>
void Walk(const Node& node, const Visit& visit) {
  visit(node);
  for (const Node& child : node.children) Walk(child, visit);
}
template <typename Visit>
void Walk(const Comparison& comparison, const Visit& visit) {
  Walk(comparison.left, visit);
  Walk(comparison.right, visit);
  if (comparison.high) Walk(*comparison.high, visit);
}

}  // namespace lab::bench
