#include "bench/report/pretty_json.h"

#include "absl/strings/str_cat.h"

namespace lab::bench {
namespace {

using Json = nlohmann::ordered_json;

std::string OneLine(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

bool IsFlat(const Json& json) {
  for (const Json& item : json) {
    if (!item.is_array() && item.is_structured()) return false;
    if (item.is_array() && !IsFlat(item)) return false;
  }
  return true;
}

void Pretty(const Json& json, int depth, std::string& out) {
  if (!json.is_structured() || json.empty() || (json.is_array() && IsFlat(json))) {
    out += OneLine(json);
    return;
  }
  const std::string indent(2 * (depth + 1), ' ');
  out += json.is_array() ? "[" : "{";
  const char* separator = "\n";
  for (const auto& item : json.items()) {
    out += separator + indent;
    if (json.is_object()) out += OneLine(Json(item.key())) + ": ";
    Pretty(item.value(), depth + 1, out);
    separator = ",\n";
  }
  absl::StrAppend(&out, "\n", indent.substr(2), json.is_array() ? "]" : "}");
}

}  // namespace

std::string PrettyJson(const Json& json) {
  std::string out;
  Pretty(json, 0, out);
  return out;
}

}  // namespace lab::bench
