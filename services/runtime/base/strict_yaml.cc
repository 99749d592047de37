#include "services/runtime/base/strict_yaml.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"
#include "services/runtime/base/yaml_tree.h"

namespace lab::yaml {
namespace {

constexpr size_t kMaxErrors = 100;
constexpr size_t kShown = 60;  // bytes of a wrong value in a message

std::string Quoted(std::string_view text) {
  std::string shown(text.substr(0, kShown));
  // Not through the middle of a character: messages end in JSON logs.
  while (shown.size() < text.size() && !shown.empty() && (static_cast<uint8_t>(text[shown.size()]) & 0xc0) == 0x80) {
    shown.pop_back();
  }
  return Concat("\"", absl::Utf8SafeCEscape(shown), shown.size() < text.size() ? "…\"" : "\"");
}

}  // namespace

struct Document::State {
  std::string name;
  Tree tree;
  std::shared_ptr<Value::Impl> root;
  std::set<std::pair<int, std::string>> errors;  // in line order; the same error twice is one
  size_t errors_beyond = 0;

  void Add(int line, std::string_view path, std::string_view text) {
    std::string message = path.empty() ? std::string(text) : Concat(path, ": ", text);
    if (errors.size() >= kMaxErrors) {
      errors_beyond += errors.count({line, message}) == 0;
      return;
    }
    errors.emplace(line, std::move(message));
  }
};

struct Value::Impl {
  Document::State* document = nullptr;
  const Node* node = nullptr;
  int line = 1;
  std::string path;
  std::vector<std::string> asked;
};

Value::Value() : impl_(std::make_shared<Impl>()) {}

bool Value::defined() const { return impl_->node != nullptr; }
bool Value::is_null() const { return defined() && impl_->node->kind == Node::Kind::kNull; }
bool Value::is_map() const { return defined() && impl_->node->kind == Node::Kind::kMap; }
bool Value::is_list() const { return defined() && impl_->node->kind == Node::Kind::kList; }
bool Value::is_scalar() const { return defined() && impl_->node->kind == Node::Kind::kScalar; }
int Value::line() const { return impl_->line; }
const std::string& Value::path() const { return impl_->path; }

const std::string& Value::raw() const {
  static const std::string kEmpty;
  return is_scalar() ? impl_->node->text : kEmpty;
}

void Value::Error(std::string_view text) const {
  if (impl_->document != nullptr) impl_->document->Add(impl_->line, impl_->path, text);
}

// "must be <wanted>, not <what is there>".
template <typename T>
T Value::Wrong(T fallback, std::string_view wanted) const {
  std::string there = "a map";
  if (is_list()) there = "a list";
  if (is_null()) there = "empty";
  if (is_scalar()) there = Concat(impl_->node->plain ? "" : "the quoted text ", Quoted(impl_->node->text));
  Error(Concat("must be ", wanted, ", not ", there));
  return fallback;
}

std::string Value::String(std::string_view fallback) const {
  if (!defined()) return std::string(fallback);
  if (!is_scalar()) return Wrong(std::string(fallback), "text");
  return impl_->node->text;
}

int64_t Value::Int(int64_t min, int64_t max, int64_t fallback) const {
  if (!defined()) return fallback;
  int64_t value = 0;
  const bool whole = is_scalar() && impl_->node->plain && absl::SimpleAtoi(impl_->node->text, &value);
  if (whole && value >= min && value <= max) return value;
  return Wrong(fallback, max == INT64_MAX ? Concat("a whole number of at least ", min)
                                          : Concat("a whole number in ", min, " … ", max));
}

double Value::Number(double min, double max, double fallback) const {
  if (!defined()) return fallback;
  double value = 0;
  const bool number = is_scalar() && impl_->node->plain && absl::SimpleAtod(impl_->node->text, &value);
  if (!number || !std::isfinite(value) || value < min || value > max) {
    return Wrong(fallback, Concat("a number in ", min, " … ", max));
  }
  return value;
}

bool Value::Bool(bool fallback) const {
  if (!defined()) return fallback;
  const bool plain = is_scalar() && impl_->node->plain;
  if (plain && impl_->node->text == "true") return true;
  if (plain && impl_->node->text == "false") return false;
  return Wrong(fallback, "true or false");
}

Nanos Value::Duration(Nanos min, Nanos max, Nanos fallback) const {
  if (!defined()) return fallback;
  if (!is_scalar()) return Wrong(fallback, "a duration");
  const absl::StatusOr<Nanos> value = ParseDuration(impl_->node->text);
  if (!value.ok()) return Wrong(fallback, "a number and a unit (us, ms, s, m, h)");
  if (*value >= min && *value <= max) return *value;
  return Wrong(fallback, max == Nanos::max() ? Concat("a duration of at least ", DurationText(min))
                                             : Concat("a duration in ", DurationText(min), " … ", DurationText(max)));
}

size_t Value::OneOf(const std::vector<std::string>& names, size_t fallback) const {
  if (!defined()) return fallback;
  const std::string wanted = Concat("one of ", absl::StrJoin(names, ", "));
  if (!is_scalar()) return Wrong(fallback, wanted);
  const auto found = std::find(names.begin(), names.end(), impl_->node->text);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  const std::string nearest = Nearest(impl_->node->text, names);
  const std::string remedy = nearest.empty() ? "" : Concat("; did you mean \"", nearest, "\"?");
  Error(Concat("must be ", wanted, ", not ", Quoted(impl_->node->text), remedy));
  return fallback;
}

Value Value::Child(const void* node, int line, std::string path) const {
  auto child = std::make_shared<Impl>();
  child->document = impl_->document;
  child->node = static_cast<const Node*>(node);
  child->line = line;
  child->path = std::move(path);
  return Value(std::move(child));
}

std::vector<Value> Value::List() const {
  if (!defined() || is_null()) return {};
  if (!is_list()) return Wrong(std::vector<Value>(), "a list");
  std::vector<Value> items;
  items.reserve(impl_->node->items.size());
  for (const Node* item : impl_->node->items) {
    items.push_back(Child(item, item->line, Concat(impl_->path, "[", items.size(), "]")));
  }
  return items;
}

std::vector<std::pair<std::string, Value>> Value::Entries() const {
  using Named = std::vector<std::pair<std::string, Value>>;
  if (!defined() || is_null()) return {};
  if (!is_map()) return Wrong(Named(), "a map");
  Named entries;
  entries.reserve(impl_->node->entries.size());
  for (const Node::Entry& entry : impl_->node->entries) {
    std::string path = impl_->path.empty() ? entry.key : Concat(impl_->path, ".", entry.key);
    entries.emplace_back(entry.key, Child(entry.value, entry.line, std::move(path)));
  }
  return entries;
}

Value Value::Optional(std::string_view key) const {
  impl_->asked.emplace_back(key);
  std::string path = impl_->path.empty() ? std::string(key) : Concat(impl_->path, ".", key);
  if (!is_map()) return Child(nullptr, impl_->line, std::move(path));
  for (const Node::Entry& entry : impl_->node->entries) {
    if (entry.key == key) return Child(entry.value, entry.line, std::move(path));
  }
  return Child(nullptr, impl_->line, std::move(path));
}

Value Value::Required(std::string_view key) const {
  Value value = Optional(key);
  // What is not a map at all is told once, by Finish.
  if (!value.defined() && defined() && (is_map() || is_null())) Error(Concat("\"", key, "\" is missing"));
  return value;
}

void Value::Finish() const {
  if (!defined() || is_null()) return;
  if (!is_map()) {
    Wrong(0, impl_->asked.empty() ? "a map" : Concat("a map with ", absl::StrJoin(impl_->asked, ", ")));
    return;
  }
  for (const Node::Entry& entry : impl_->node->entries) {
    if (std::find(impl_->asked.begin(), impl_->asked.end(), entry.key) != impl_->asked.end()) continue;
    impl_->document->Add(entry.line, impl_->path,
                         Concat("unknown key ", Quoted(entry.key), Suggestion(entry.key, impl_->asked)));
  }
}

Document::Document(std::string text, std::string name) : state_(std::make_unique<State>()) {
  state_->name = std::move(name);
  state_->tree = ParseTree(text);
  for (const auto& [line, error] : state_->tree.errors) state_->Add(line, "", error);
  state_->root = std::make_shared<Value::Impl>();
  state_->root->document = state_.get();
  state_->root->node = state_->tree.root;
}

Document::~Document() = default;

Value Document::root() const { return Value(state_->root); }
bool Document::ok() const { return state_->errors.empty(); }
const std::string& Document::name() const { return state_->name; }

absl::Status Document::status() const {
  if (ok()) return absl::OkStatus();
  std::string text;
  for (const auto& [line, error] : state_->errors) {
    text += Concat(text.empty() ? "" : "\n", state_->name, ":", line, ": ", error);
  }
  if (state_->errors_beyond > 0) text += Concat("\n", state_->name, ": and ", state_->errors_beyond, " more errors");
  return absl::InvalidArgumentError(text);
}

}  // namespace lab::yaml
