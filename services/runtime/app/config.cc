#include "services/runtime/app/config.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <stdexcept>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/strict_yaml.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

absl::Status Must(std::string_view be, std::string_view value, std::string_view remedy = "") {
  return absl::InvalidArgumentError(Concat("must be ", be, ", not ", JsonString(value.substr(0, 60)), remedy));
}

bool StartsWith(std::string_view text, std::string_view prefix) { return text.substr(0, prefix.size()) == prefix; }

// Plain where YAML surely reads the same text back, else quoted; a JSON string is a YAML string.
std::string YamlScalar(const std::string& text) {
  const auto plain = [](char c) { return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '/'; };
  const bool simple = !text.empty() && (absl::ascii_isalpha(static_cast<unsigned char>(text[0])) || text[0] == '/') &&
                      std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || c == '.' || c == '-'; });
  for (const char* word : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    if (absl::EqualsIgnoreCase(text, word)) return JsonString(text);
  }
  return simple ? text : JsonString(text);
}

std::string Range(const std::string& min, const std::string& max) { return Concat(min, " … ", max); }

std::vector<std::string> Parts(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
    parts.emplace_back(path.substr(0, dot));
    path.remove_prefix(dot + 1);
  }
  parts.emplace_back(path);
  return parts;
}

}  // namespace

void Schema::Declare(Field field, Entry entry) {
  if (Find(field.path) != nullptr || IsGroup(field.path)) {
    throw std::logic_error(Concat("the field ", field.path, " is declared twice, or is a group too"));
  }
  for (size_t dot = field.path.find('.'); dot != std::string::npos; dot = field.path.find('.', dot + 1)) {
    if (Find(field.path.substr(0, dot)) != nullptr) {
      throw std::logic_error(Concat(field.path.substr(0, dot), " is a field and the group of ", field.path));
    }
  }
  field.fallback = entry.get();
  fields_.push_back(std::move(field));
  entries_.push_back(std::move(entry));
}

void Schema::String(std::string path, std::string* target, std::string doc) {
  Entry entry;
  entry.set = [target](std::string_view text) {
    *target = text;
    return absl::OkStatus();
  };
  entry.get = [target] { return *target; };
  Declare({std::move(path), "string", "", "", std::move(doc)}, std::move(entry));
}

void Schema::Text(std::string path, std::string type, std::function<absl::Status(std::string_view)> set,
                  std::function<std::string()> get, std::string doc) {
  Declare({std::move(path), std::move(type), "", "", std::move(doc)}, {{}, std::move(set), std::move(get)});
}

void Schema::Int(std::string path, int* target, int64_t min, int64_t max, std::string doc) {
  const std::string range = Range(std::to_string(min), std::to_string(max));
  Entry entry;
  entry.set = [=](std::string_view text) {
    int value = 0;
    if (!absl::SimpleAtoi(View(text), &value) || value < min || value > max) {
      return Must(Concat("a whole number in ", range), text);
    }
    *target = value;
    return absl::OkStatus();
  };
  entry.get = [target] { return std::to_string(*target); };
  Declare({std::move(path), "int", "", range, std::move(doc)}, std::move(entry));
}

void Schema::Number(std::string path, double* target, double min, double max, std::string doc) {
  const std::string range = Range(JsonNumber(min), JsonNumber(max));
  Entry entry;
  entry.set = [=](std::string_view text) {
    double value = 0;
    if (!absl::SimpleAtod(View(text), &value) || !(value >= min && value <= max)) {
      return Must(Concat("a number in ", range), text);
    }
    *target = value;
    return absl::OkStatus();
  };
  entry.get = [target] { return JsonNumber(*target); };
  Declare({std::move(path), "number", "", range, std::move(doc)}, std::move(entry));
}

void Schema::Bool(std::string path, bool* target, std::string doc) {
  Entry entry;
  entry.set = [target](std::string_view text) {
    if (text != "true" && text != "false") return Must("true or false", text);
    *target = text == "true";
    return absl::OkStatus();
  };
  entry.get = [target] { return *target ? "true" : "false"; };
  Declare({std::move(path), "bool", "", "", std::move(doc)}, std::move(entry));
}

void Schema::Duration(std::string path, Nanos* target, Nanos min, Nanos max, std::string doc) {
  const std::string range = Range(DurationText(min), DurationText(max));
  Entry entry;
  entry.set = [=](std::string_view text) {
    const absl::StatusOr<Nanos> value = ParseDuration(text);
    if (!value.ok()) return Must("a number and a unit (us, ms, s, m, h)", text);
    if (*value < min || *value > max) return Must(Concat("a duration in ", range), text);
    *target = *value;
    return absl::OkStatus();
  };
  entry.get = [target] { return DurationText(*target); };
  Declare({std::move(path), "duration", "", range, std::move(doc)}, std::move(entry));
}

void Schema::OneOf(std::string path, std::vector<std::string> names, size_t default_index,
                   std::function<void(size_t)> set, std::string doc) {
  const std::string type = Concat("one of: ", absl::StrJoin(names, ", "));
  const auto chosen = std::make_shared<size_t>(default_index);  // shared by set and get, which are copied
  Entry entry;
  entry.names = names;
  entry.set = [=](std::string_view text) {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) {
      const std::string nearest = Nearest(text, names);
      return Must(Concat("one of ", absl::StrJoin(names, ", ")), text,
                  nearest.empty() ? "" : Concat("; did you mean \"", nearest, "\"?"));
    }
    *chosen = static_cast<size_t>(found - names.begin());
    set(*chosen);
    return absl::OkStatus();
  };
  entry.get = [=] { return names[*chosen]; };
  Declare({std::move(path), type, "", "", std::move(doc)}, std::move(entry));
}

const Schema::Entry* Schema::Find(std::string_view path) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].path == path) return &entries_[i];
  }
  return nullptr;
}

bool Schema::IsGroup(std::string_view path) const {
  const std::string prefix = Concat(path, ".");
  return std::any_of(fields_.begin(), fields_.end(),
                     [&](const Field& field) { return StartsWith(field.path, prefix); });
}

// The nearest path or group; else the fields of that last name elsewhere; else what there is in the group.
std::string Schema::Remedy(std::string_view path) const {
  std::vector<std::string> known, same_name, siblings;
  const size_t dot = path.rfind('.');
  const std::string_view last = path.substr(dot == std::string_view::npos ? 0 : dot + 1);
  const std::string_view group = path.substr(0, dot == std::string_view::npos ? 0 : dot + 1);
  for (const Field& field : fields_) {
    known.push_back(field.path);
    const std::vector<std::string> parts = Parts(field.path);
    for (size_t depth = 1; depth < parts.size(); ++depth) {
      known.push_back(absl::StrJoin(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(depth), "."));
    }
    if (parts.back() == last) same_name.push_back(field.path);
    if (StartsWith(field.path, group)) siblings.push_back(field.path);
  }
  const std::string nearest = Nearest(path, known);
  if (!nearest.empty()) return Concat("; did you mean \"", nearest, "\"?");
  if (!same_name.empty()) return Concat("; did you mean \"", absl::StrJoin(same_name, "\" or \""), "\"?");
  return Suggestion(path, siblings.empty() ? known : siblings);
}

void Schema::Read(const yaml::Value& group, std::map<std::string, int>& seen) {
  for (const auto& [key, value] : group.Entries()) {
    const std::string& path = value.path();
    if (const Entry* entry = Find(path)) {
      const auto [first, added] = seen.emplace(path, value.line());
      if (!added) {
        value.Error(Concat("is there twice, first in line ", first->second));
      } else if (!value.is_scalar()) {
        value.Error(value.is_null() ? "has no value" : "must be a single value, not a map or a list");
      } else if (const absl::Status set = entry->set(value.raw()); !set.ok()) {
        value.Error(std::string(set.message()));
      }
    } else if (!IsGroup(path)) {
      value.Error(Concat("unknown field", Remedy(path)));
    } else {
      Read(value, seen);
    }
  }
}

absl::Status Schema::Parse(std::string text, std::string name) {
  const yaml::Document document(std::move(text), std::move(name));
  std::map<std::string, int> seen;
  Read(document.root(), seen);
  return document.status();
}

absl::Status Schema::Set(std::string_view path, std::string_view value) {
  const Entry* entry = Find(path);
  if (entry == nullptr) return absl::InvalidArgumentError(Concat(path, ": unknown field", Remedy(path)));
  const absl::Status set = entry->set(value);
  if (set.ok()) return set;
  return absl::InvalidArgumentError(Concat(path, ": ", std::string(set.message())));
}

const std::vector<Schema::Field>& Schema::fields() const { return fields_; }

std::string Schema::ToJson() const {
  std::string out = "[";
  for (size_t i = 0; i < fields_.size(); ++i) {
    const Field& field = fields_[i];
    out += Concat(i == 0 ? "\n" : ",\n", "{\"path\":", JsonString(field.path), ",\"type\":", JsonString(field.type),
                  ",\"default\":", JsonString(field.fallback), ",\"range\":", JsonString(field.range), ",\"names\":[");
    for (size_t n = 0; n < entries_[i].names.size(); ++n) {
      out += Concat(n == 0 ? "" : ",", JsonString(entries_[i].names[n]));
    }
    out += Concat("],\"doc\":", JsonString(field.doc), "}");
  }
  return out + "\n]\n";
}

std::string Schema::Yaml(bool current) const {
  // A group stands where its first field was declared, whole even when it was declared in pieces.
  std::map<std::string, size_t> first;  // path or group → field
  std::vector<std::pair<std::vector<size_t>, size_t>> order;
  for (size_t i = 0; i < fields_.size(); ++i) {
    std::string prefix;
    std::vector<size_t> place;
    for (const std::string& part : Parts(fields_[i].path)) {
      prefix += Concat(part, ".");
      place.push_back(first.emplace(prefix, i).first->second);
    }
    order.emplace_back(std::move(place), i);
  }
  std::sort(order.begin(), order.end());

  std::string out;
  std::vector<std::string> open;  // the groups that the last line is in
  for (const auto& [place, i] : order) {
    const Field& field = fields_[i];
    std::vector<std::string> parts = Parts(field.path);
    const std::string name = parts.back();
    parts.pop_back();
    const size_t common =
        static_cast<size_t>(std::mismatch(open.begin(), open.end(), parts.begin(), parts.end()).first - open.begin());
    for (size_t depth = common; depth < parts.size(); ++depth) {
      out += Concat(std::string(2 * depth, ' '), parts[depth], ":\n");
    }
    open = parts;
    const std::string indent(2 * parts.size(), ' ');
    const std::string range = field.range.empty() ? "" : Concat(", ", field.range);
    out += Concat(indent, "# ", field.doc, " (", field.type, range, ")\n");
    const std::string value = current ? entries_[i].get() : field.fallback;
    out += Concat(indent, name, ": ", field.type == "string" || field.type == "failpoint" ? YamlScalar(value) : value,
                  "\n");
  }
  return out;
}

absl::StatusOr<std::string> SecretFromEnvironment(const std::string& name) {
  if (const char* value = std::getenv(name.c_str())) return std::string(value);
  const char* file = std::getenv((name + "_FILE").c_str());
  if (file == nullptr) return std::string();
  absl::StatusOr<std::string> text = ReadFile(file, 64 << 10);
  if (!text.ok()) return text;
  return text->substr(0, text->find_first_of("\r\n"));
}

}  // namespace lab::app
