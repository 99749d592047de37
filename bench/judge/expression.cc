#include "bench/judge/expression.h"

#include <array>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr size_t kMaxText = 1000;
constexpr int kMaxDepth = 32;

bool NameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool NameInner(char c) { return NameStart(c) || (c >= '0' && c <= '9'); }

// Recursive descent over the text. The first error ends the parse: `error_` is then set and every step returns at once.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {
    if (text.size() > kMaxText) Fail(0, Concat("is longer than ", kMaxText, " characters"));
  }

  Node Value() {
    Node left = Term();
    for (char c = Peek(); ok() && (c == '+' || c == '-'); c = Peek()) {
      const size_t at = at_++;
      left = Binary(c, at, std::move(left), Term());
    }
    return left;
  }

  Comparison Whole() {
    Comparison comparison;
    comparison.left = Value();
    comparison.op = Operator();
    comparison.right = Value();
    if (comparison.op != "within" || !ok()) return comparison;
    if (!Take("..")) Fail(at_, "\"within\" wants two bounds, as: a.value within 1.9 .. 2.1");
    comparison.high = Value();
    return comparison;
  }

  Node Call() {
    Peek();
    Node node;
    node.kind = Node::Kind::kCall;
    node.at = at_;
    node.name = Name();
    if (node.name.empty()) Fail(at_, "a name is wanted here");
    if (Peek() == '{') ReadSelectors(node);
    return node;
  }

  absl::Status End() {
    if (ok() && Peek() != '\0') {
      Fail(at_, Concat("\"", text_.substr(at_, 20), "\" does not belong here", MinusHint()));
    }
    return error_;
  }

 private:
  bool ok() const { return error_.ok(); }

  void Fail(size_t at, std::string_view text) {
    if (ok()) error_ = ErrorAt(at, text);
  }

  // The next character that is no space; 0 at the end or after an error.
  char Peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
    return ok() && at_ < text_.size() ? text_[at_] : '\0';
  }

  bool Take(std::string_view token) {
    Peek();
    if (!ok() || text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }

  std::string MinusHint() const { return text_[at_] == '-' ? "; a minus has a space on each side" : ""; }

  // Letters, digits and "_"; "-" only between two of them, so that "a - b" is a difference and "no-deadline" a name.
  std::string Name() {
    const size_t begin = at_;
    if (at_ >= text_.size() || !NameStart(text_[at_])) return "";
    while (at_ < text_.size()) {
      const bool hyphen = text_[at_] == '-' && at_ + 1 < text_.size() && NameInner(text_[at_ + 1]);
      if (!NameInner(text_[at_]) && !hyphen) break;
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string Operator() {
    const size_t at = at_;
    for (const char* op : {"<=", ">=", "==", "<", ">"}) {
      if (Take(op)) return op;
    }
    Peek();
    const size_t begin = at_;
    if (Name() == "within") return "within";
    at_ = begin;
    if (ok() && Peek() == '=') Fail(at_, "\"=\" does not compare; write ==");
    if (ok() && Peek() == '-') Fail(at_, "a minus has a space on each side");
    Fail(ok() && at_ < text_.size() ? at_ : at, "a comparison is wanted here: <= >= < > == or within … .. …");
    return "";
  }

  static Node Binary(char op, size_t at, Node left, Node right) {
    Node node;
    node.kind = Node::Kind::kBinary;
    node.op = op;
    node.at = at;
    node.children.push_back(std::move(left));
    node.children.push_back(std::move(right));
    return node;
  }

  Node Term() {
    Node left = Factor();
    for (char c = Peek(); ok() && (c == '*' || c == '/'); c = Peek()) {
      const size_t at = at_++;
      left = Binary(c, at, std::move(left), Factor());
    }
    return left;
  }

  Node Factor() {
    Node node;
    if (++depth_ > kMaxDepth) Fail(at_, "is nested too deeply");
    const char c = Peek();
    if (c == '(') {
      ++at_;
      node = Value();
      if (!Take(")")) Fail(at_, "\")\" is missing");
    } else if ((c >= '0' && c <= '9') || c == '.') {
      node = Number();
    } else if (NameStart(c)) {
      node = Named();
    } else if (c == '-') {
      Fail(at_, "a negative number is not a bound that anything measured could have");
    } else {
      Fail(at_, c == '\0' ? "a value is missing here" : "a value is wanted here: a number, a name or \"(\"");
    }
    --depth_;
    return node;
  }

  Node Number() {
    Node node;
    node.kind = Node::Kind::kNumber;
    node.at = at_;
    std::string_view rest = text_.substr(at_);
    rest = rest.substr(0, rest.find(".."));  // "1..2" is a range, not "1." and ".2"
    size_t used = 0;
    const absl::StatusOr<Quantity> quantity = ReadQuantity(rest, &used);
    if (!quantity.ok()) {
      Fail(at_, std::string(quantity.status().message()));
      return node;
    }
    node.number = *quantity;
    node.written = std::string(rest.substr(0, used));
    at_ += used;
    return node;
  }

  // A reference "variant.value", min or max, or a function.
  Node Named() {
    const size_t begin = at_;
    Node node;
    node.at = begin;
    const std::string name = Name();
    if (at_ < text_.size() && text_[at_] == '.' && at_ + 1 < text_.size() && NameStart(text_[at_ + 1])) {
      ++at_;
      node.kind = Node::Kind::kReference;
      node.variant = name;
      node.name = Name();
      return node;
    }
    if ((name == "min" || name == "max") && Peek() == '(') {
      node.kind = name == "min" ? Node::Kind::kMin : Node::Kind::kMax;
      ++at_;
      do {
        node.children.push_back(Value());
      } while (ok() && Take(","));
      if (!Take(")")) Fail(at_, "\")\" is missing");
      return node;
    }
    at_ = begin;
    node = Call();
    if (Peek() == '(') Fail(at_, Concat("selectors stand in braces: ", node.name, "{…}"));
    return node;
  }

  // Texts of selectors go up to the next "," or "}" outside of quotes and inner braces.
  void ReadSelectors(Node& node) {
    ++at_;
    if (Take("}")) return;
    do {
      Peek();
      Selector selector;
      selector.at = at_;
      selector.name = Name();
      if (selector.name.empty()) Fail(at_, "the name of a selector is wanted here, as phase=steady");
      if (!Take("=")) Fail(at_, Concat("\"=\" is missing after ", selector.name));
      selector.text = SelectorText();
      if (ok() && selector.text.empty()) Fail(selector.at, Concat(selector.name, " is empty"));
      for (const Selector& other : node.selectors) {
        if (other.name == selector.name) Fail(selector.at, Concat(selector.name, " is given twice"));
      }
      node.selectors.push_back(std::move(selector));
    } while (ok() && Take(","));
    if (!Take("}")) Fail(at_, "\"}\" is missing");
  }

  std::string SelectorText() {
    if (Peek() == '"') {
      const size_t end = text_.find('"', at_ + 1);
      if (end == std::string_view::npos) {
        Fail(at_, "the closing quote is missing");
        return "";
      }
      const std::string quoted(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end + 1;
      return quoted;
    }
    const size_t begin = at_;
    int inner = 0;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (inner == 0 && (c == ',' || c == '}')) break;
      if (c == '{') ++inner;
      if (c == '}') --inner;
    }
    size_t end = at_;
    while (end > begin && text_[end - 1] == ' ') --end;
    return std::string(text_.substr(begin, end - begin));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  absl::Status error_;
};

}  // namespace

absl::Status ErrorAt(size_t at, std::string_view text) {
  return absl::InvalidArgumentError(Concat("column ", at + 1, ": ", text));
}

absl::StatusOr<Node> ParseValue(std::string_view text) {
  Parser parser(text);
  Node node = parser.Value();
  const absl::Status end = parser.End();
  if (!end.ok()) return end;
  return node;
}

absl::StatusOr<Comparison> ParseComparison(std::string_view text) {
  Parser parser(text);
  Comparison comparison = parser.Whole();
  const absl::Status end = parser.End();
  if (!end.ok()) return end;
  return comparison;
}

absl::StatusOr<Node> ParseCall(std::string_view text) {
  Parser parser(text);
  Node node = parser.Call();
  const absl::Status end = parser.End();
  if (!end.ok()) return end;
  return node;
}

}  // namespace lab::bench
