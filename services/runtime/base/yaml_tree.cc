#include "services/runtime/base/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::yaml {
namespace {

// Ends the parsing at once: through yaml-cpp, which is exception-safe.
struct Unreadable {
  int line;
  std::string text;
};

int LineOf(const YAML::Mark& mark) { return std::max(mark.line, 0) + 1; }

// Builds the tree bottom-up and checks the bounds on the way, so that a hostile text never gets further than they
// allow. The stack holds the open maps and lists.
class Builder : public YAML::EventHandler {
 public:
  explicit Builder(Tree& tree) : tree_(tree) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (tree_.root != nullptr) throw Unreadable{LineOf(mark), "a second document (---); one a file is allowed"};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (ExpectsKey()) throw Unreadable{LineOf(mark), "a key is missing before \":\""};
    Complete(Add(Node::Kind::kNull, mark, anchor));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (ExpectsKey()) {
      stack_.back().key = value;
      stack_.back().key_line = LineOf(mark);
      return;
    }
    Node* node = Add(Node::Kind::kScalar, mark, anchor);
    node->text = value;
    node->plain = tag == "?";
    Complete(node);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (ExpectsKey()) throw Unreadable{LineOf(mark), "an alias cannot be a key"};
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end() || found->second->size == 0) {
      throw Unreadable{LineOf(mark), "an alias to something that is not complete before it"};
    }
    Attach(found->second, LineOf(mark));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Node::Kind::kList, mark, anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Node::Kind::kMap, mark, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    Node* node;
    std::optional<std::string> key;  // read, and waiting for its value
    int key_line = 1;
    std::unordered_map<std::string, int> seen;  // key → line
  };

  bool ExpectsKey() const {
    return !stack_.empty() && stack_.back().node->kind == Node::Kind::kMap && !stack_.back().key;
  }

  Node* Add(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Node& node = tree_.nodes.emplace_back();
    if (tree_.nodes.size() > kMaxNodes) throw Unreadable{LineOf(mark), Concat("more than ", kMaxNodes, " nodes")};
    node.kind = kind;
    node.line = LineOf(mark);
    if (anchor != YAML::NullAnchor) anchors_[anchor] = &node;
    return &node;
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (ExpectsKey()) throw Unreadable{LineOf(mark), "a key must be text, not a map or a list"};
    if (stack_.size() >= kMaxDepth) throw Unreadable{LineOf(mark), Concat("nested deeper than ", kMaxDepth, " levels")};
    stack_.push_back({Add(kind, mark, anchor), std::nullopt, LineOf(mark), {}});
  }

  void Close() {
    Node* node = stack_.back().node;
    stack_.pop_back();
    Complete(node);
  }

  void Complete(Node* node) {
    node->size = 1;
    node->height = 1;
    for (const Node* item : node->items) Grow(node, item);
    for (const Node::Entry& entry : node->entries) Grow(node, entry.value);
    Attach(node, node->line);
  }

  static void Grow(Node* node, const Node* child) {
    node->size += child->size;
    node->height = std::max(node->height, child->height + 1);
    if (node->size > kMaxNodes) {
      throw Unreadable{node->line, Concat("more than ", kMaxNodes, " nodes once aliases are expanded")};
    }
  }

  void Attach(const Node* node, int line) {
    if (stack_.size() + node->height > kMaxDepth + 1) {
      throw Unreadable{line, Concat("nested deeper than ", kMaxDepth, " levels")};
    }
    if (stack_.empty()) {
      tree_.root = node;
      return;
    }
    Level& level = stack_.back();
    if (level.node->kind == Node::Kind::kList) {
      level.node->items.push_back(node);
      return;
    }
    const auto [first, added] = level.seen.try_emplace(*level.key, level.key_line);
    if (added) {
      level.node->entries.push_back({*level.key, level.key_line, node});
    } else {
      tree_.errors.emplace_back(
          level.key_line, Concat("\"", level.key->substr(0, 60), "\" is there twice, first in line ", first->second));
    }
    level.key.reset();
  }

  Tree& tree_;
  std::vector<Level> stack_;
  std::unordered_map<YAML::anchor_t, Node*> anchors_;
};

// Before yaml-cpp sees it: it would guess UTF-16 from zero bytes and replace what is not UTF-8 silently.
std::optional<Unreadable> CheckCharacters(const std::string& text) {
  if (text.size() > kMaxBytes) return Unreadable{1, Concat("larger than ", kMaxBytes, " bytes")};
  int line = 1;
  for (size_t at = 0; at < text.size();) {
    const size_t length = Utf8Length(std::string_view(text).substr(at, 4));
    if (length == 0) return Unreadable{line, "not UTF-8 text"};
    const char c = text[at];
    if (c == '\n') ++line;
    if (static_cast<uint8_t>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') {
      return Unreadable{line, Concat("a control character (", static_cast<int>(c), ")")};
    }
    at += length;
  }
  return std::nullopt;
}

}  // namespace

Tree ParseTree(const std::string& text) {
  Tree tree;
  const auto fail = [&tree](int line, std::string why) {
    tree.root = nullptr;
    tree.errors.emplace_back(line, std::move(why));
  };
  if (const std::optional<Unreadable> bad = CheckCharacters(text)) {
    fail(bad->line, bad->text);
    return tree;
  }
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    Builder builder(tree);
    while (parser.HandleNextDocument(builder)) {
    }
    if (tree.root == nullptr) tree.root = &tree.nodes.emplace_back();  // an empty file: null
  } catch (const Unreadable& bad) {
    fail(bad.line, bad.text);
  } catch (const YAML::Exception& bad) {
    fail(LineOf(bad.mark), Concat("not YAML: ", bad.msg));
  } catch (const std::exception& bad) {
    fail(1, Concat("not YAML: ", bad.what()));
  }
  return tree;
}

}  // namespace lab::yaml
