#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/base/time.h"

namespace lab::app {

// The configuration of a process, declared field by field: dotted path, target, range, one sentence. Defaults are what
// the targets hold when they are declared. Parsing is strict and reports everything wrong at once, as
// "<file>:<line>: <path>: <what> <remedy>".
class Schema {
 public:
  void String(std::string path, std::string* target, std::string doc);
  void Int(std::string path, int* target, int64_t min, int64_t max, std::string doc);
  void Number(std::string path, double* target, double min, double max, std::string doc);
  void Bool(std::string path, bool* target, std::string doc);
  void Duration(std::string path, Nanos* target, Nanos min, Nanos max, std::string doc);
  // `set` gets the index of the chosen name.
  void OneOf(std::string path, std::vector<std::string> names, size_t default_index, std::function<void(size_t)> set,
             std::string doc);

  // Fills the targets from YAML text ("a: {b: 1}" and "a.b: 1" are the same). `name` is the file in messages.
  absl::Status Parse(std::string text, std::string name);
  // One field by its path, as a command line would ("redis.deadline", "5ms").
  absl::Status Set(std::string_view path, std::string_view value);

  struct Field {
    std::string path;
    std::string type;     // "string", "int", "number", "bool", "duration", "one of: a, b"
    std::string fallback; // the default as text
    std::string range;    // "1 … 1024", or ""
    std::string doc;
  };
  const std::vector<Field>& fields() const;
  // [{"path":…,"type":…,"default":…,"range":…,"names":[…],"doc":…}, …]: what a runner checks `--set` against.
  std::string ToJson() const;
  // A commented YAML file with every field at its default.
  std::string ToYaml() const;

 private:
  struct Entry {
    Field field;
    std::vector<std::string> names;
    std::function<absl::Status(std::string_view)> set;  // from scalar text
  };
  std::vector<Entry> entries_;
  std::vector<Field> fields_;
};

}  // namespace lab::app
