#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/time.h"

namespace lab::yaml {
class Value;
}

namespace lab::app {

// The configuration of a process, declared field by field: dotted path, target, range, one sentence. Defaults are what
// the targets hold when they are declared. Parsing is strict and reports everything wrong at once, as
// "<file>:<line>: <path>: <what> <remedy>". The field decides the type, so quotes around a value change nothing. No
// field holds a password: see SecretFromEnvironment. A path that is declared twice, or is both a field and a group,
// throws.
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

  // Any other value in scalar text: `set` says what is wrong with it, `get` gives it back; `type` is for people.
  void Text(std::string path, std::string type, std::function<absl::Status(std::string_view)> set,
            std::function<std::string()> get, std::string doc);

  // Fills the targets from YAML text ("a: {b: 1}" and "a.b: 1" are the same). `name` is the file in messages. After an
  // error the targets of right fields are set all the same; do not use them.
  absl::Status Parse(std::string text, std::string name);
  // One field by its path, as a command line would ("redis.deadline", "5ms").
  absl::Status Set(std::string_view path, std::string_view value);

  struct Field {
    std::string path;
    std::string type;      // "string", "int", "number", "bool", "duration", "one of: a, b"
    std::string fallback;  // the default as text
    std::string range;     // "1 … 1024", or ""
    std::string doc;
  };
  const std::vector<Field>& fields() const;
  // [{"path":…,"type":…,"default":…,"range":…,"names":[…],"doc":…}, …]: what a runner checks `--set` against.
  std::string ToJson() const;
  // A commented YAML file with every field at its default, or at its present value; Parse reads it back.
  std::string ToYaml() const { return Yaml(false); }
  std::string CurrentYaml() const { return Yaml(true); }

 private:
  struct Entry {
    std::vector<std::string> names;
    std::function<absl::Status(std::string_view)> set;  // from scalar text; the error says what it must be
    std::function<std::string()> get;                   // as scalar text
  };
  void Declare(Field field, Entry entry);
  const Entry* Find(std::string_view path) const;
  bool IsGroup(std::string_view path) const;
  std::string Remedy(std::string_view path) const;
  void Read(const yaml::Value& group, std::map<std::string, int>& seen);
  std::string Yaml(bool current) const;

  std::vector<Field> fields_;
  std::vector<Entry> entries_;  // beside fields_
};

// A secret by its variable: NAME, or the first line of the file that NAME_FILE names (as container secrets are
// mounted);
// "" when neither is set. Secrets are never fields, so that no configuration that is printed or kept shows one.
absl::StatusOr<std::string> SecretFromEnvironment(const std::string& name);

}  // namespace lab::app
