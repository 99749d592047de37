#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

// The tree behind strict_yaml.h, built from the events of yaml-cpp. Its own nodes, because YAML::Node keeps the second
// of two equal keys silently, knows no bounds and recurses in its destructor.
namespace lab::yaml {

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  bool plain = false;  // a scalar without quotes: may be a number
  int line = 1;
  std::string text;
  std::vector<const Node*> items;
  std::vector<Entry> entries;  // in file order, first of equal keys only

  // With aliases expanded; height 1 is a scalar. Zero until the node is complete.
  size_t size = 0;
  size_t height = 0;
};

struct Node::Entry {
  std::string key;
  int line = 1;
  const Node* value = nullptr;
};

struct Tree {
  std::deque<Node> nodes;                           // flat, so that no destructor recurses; an alias shares its node
  const Node* root = nullptr;                       // null when the text could not be read
  std::vector<std::pair<int, std::string>> errors;  // line, text
};

inline constexpr size_t kMaxBytes = 1 << 20;
inline constexpr size_t kMaxDepth = 64;
inline constexpr size_t kMaxNodes = 100'000;

Tree ParseTree(const std::string& text);

}  // namespace lab::yaml
