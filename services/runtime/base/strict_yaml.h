#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

// A strict reader of YAML: what is wrong (unknown key, wrong type, out of range, duplicate key) is collected with its
// line, and a caller reports all of it at once. Reading goes on after an error with the fallback value.
// Quoted scalars are text, never numbers ("5" is not 5); booleans are true and false only; merge keys (<<) are not
// read; one document a file. One thread at a time.
namespace lab::yaml {

class Document;

// A cheap handle on one place of a document. Lives at most as long as its Document. Copies share what was asked for, so
// that Finish sees it.
class Value {
 public:
  Value();               // undefined, of no document: fallbacks only
  bool defined() const;  // false for a key that is not there
  bool is_null() const;  // "key:" with nothing after it, or ~: an empty map or list where one is asked, never a scalar
  bool is_map() const;
  bool is_list() const;
  bool is_scalar() const;
  int line() const;                 // 1-based, of the key in a map; for an undefined value the line of its parent
  const std::string& path() const;  // "system.redis.set", for messages

  // Scalars. A value of the wrong type or out of range is an error of the document, and the fallback is returned.
  // An undefined value returns the fallback without an error. String takes any scalar as it is written (1.0, true).
  std::string String(std::string_view fallback = "") const;
  int64_t Int(int64_t min, int64_t max, int64_t fallback) const;
  double Number(double min, double max, double fallback) const;
  bool Bool(bool fallback) const;
  Nanos Duration(Nanos min, Nanos max, Nanos fallback) const;
  // One of `names`; an unknown one is an error with the nearest name. Returns its index, or `fallback`.
  size_t OneOf(const std::vector<std::string>& names, size_t fallback) const;

  // The text of a scalar of any type; "" and no error for everything else.
  const std::string& raw() const;

  // The items of a list. Not a list: an error, and nothing. Undefined: nothing.
  std::vector<Value> List() const;
  // The entries of a map with free keys, in file order. Not a map: an error, and nothing.
  std::vector<std::pair<std::string, Value>> Entries() const;

  // Fields of a map with fixed keys: Optional may be undefined; Required adds an error when it is. Call Finish after
  // the last field: keys of the file that nobody asked for are errors with the nearest asked name.
  Value Optional(std::string_view key) const;
  Value Required(std::string_view key) const;
  void Finish() const;

  // Adds an error at this line: "<file>:<line>: <path>: <text>".
  void Error(std::string_view text) const;

 private:
  friend class Document;
  struct Impl;
  explicit Value(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  Value Child(const void* node, int line, std::string path) const;
  template <typename T>
  T Wrong(T fallback, std::string_view wanted) const;
  std::shared_ptr<Impl> impl_;
};

class Document {
 public:
  // Bounds against hostile files: at most 1 MiB, 64 levels, 100,000 nodes counted with aliases expanded; at most 100
  // errors are kept. `name` stands in front of every message. What makes the text unreadable as a whole (syntax, not
  // UTF-8, beyond a bound) is one error, and the root is then undefined.
  Document(std::string text, std::string name);
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Value root() const;
  bool ok() const;
  // All errors so far in line order, one a line, as INVALID_ARGUMENT; OK when there are none.
  absl::Status status() const;
  const std::string& name() const;

 private:
  friend class Value;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lab::yaml
