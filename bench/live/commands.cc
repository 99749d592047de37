#include "bench/live/commands.h"

#include <cmath>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::bench::live {
namespace {

using Json = nlohmann::json;

constexpr double kMaxSeconds = 24 * 3600;
constexpr double kMaxFactor = 100;

absl::StatusOr<Json> Parse(const std::string& body, std::initializer_list<const char*> known) {
  Json json = body.empty() ? Json::object() : Json::parse(body, nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("the body must be a JSON object");
  for (const auto& item : json.items()) {
    bool is_known = false;
    for (const char* name : known) is_known = is_known || item.key() == name;
    if (!is_known) return absl::InvalidArgumentError(Concat("unknown member \"", item.key(), "\""));
  }
  return json;
}

// Null and absent are the same: a page sends what its form holds.
bool Has(const Json& json, const char* name) { return json.contains(name) && !json[name].is_null(); }

absl::StatusOr<double> Number(const Json& json, const char* name, double max) {
  const Json& value = json[name];
  if (!value.is_number() || !(value.get<double>() >= 0) || value.get<double>() > max) {
    return absl::InvalidArgumentError(Concat("\"", name, "\" must be a number from 0 to ", max));
  }
  return value.get<double>();
}

absl::StatusOr<std::map<std::string, std::string>> Options(const Json& json) {
  std::map<std::string, std::string> options;
  if (!Has(json, "options")) return options;
  if (!json["options"].is_object()) return absl::InvalidArgumentError("\"options\" must be an object");
  for (const auto& item : json["options"].items()) {
    if (item.value().is_structured() || item.value().is_null()) {
      return absl::InvalidArgumentError(Concat("\"options.", item.key(), "\" must be a text or a number"));
    }
    options[item.key()] = item.value().is_string() ? item.value().get<std::string>() : item.value().dump();
  }
  return options;
}

absl::StatusOr<std::string> Answer(const absl::Status& status) {
  if (!status.ok()) return status;
  return "{}";
}

}  // namespace

absl::StatusOr<std::string> BreakCommand(Control& control, const std::string& body) {
  const absl::StatusOr<Json> json = Parse(body, {"fault", "for_s", "options"});
  if (!json.ok()) return json.status();
  if (!Has(*json, "fault") || !(*json)["fault"].is_string()) {
    return absl::InvalidArgumentError("\"fault\" must name a fault, like \"redis.pause\"");
  }
  std::optional<double> seconds;
  if (Has(*json, "for_s")) {
    const absl::StatusOr<double> number = Number(*json, "for_s", kMaxSeconds);
    if (!number.ok()) return number.status();
    seconds = *number;
  }
  const absl::StatusOr<std::map<std::string, std::string>> options = Options(*json);
  if (!options.ok()) return options.status();
  const absl::StatusOr<std::string> id = control.Break((*json)["fault"].get<std::string>(), seconds, *options);
  if (!id.ok()) return id.status();
  return Concat("{\"id\":", JsonString(*id), "}");
}

absl::StatusOr<std::string> HealCommand(Control& control, const std::string& body) {
  const absl::StatusOr<Json> json = Parse(body, {"fault"});
  if (!json.ok()) return json.status();
  if (!Has(*json, "fault")) return Answer(control.Heal(std::nullopt));
  if (!(*json)["fault"].is_string()) return absl::InvalidArgumentError("\"fault\" must be a text");
  return Answer(control.Heal((*json)["fault"].get<std::string>()));
}

absl::StatusOr<std::string> LoadCommand(Control& control, const std::string& body) {
  const absl::StatusOr<Json> json = Parse(body, {"factor"});
  if (!json.ok()) return json.status();
  if (!Has(*json, "factor")) return absl::InvalidArgumentError("\"factor\" is missing");
  const absl::StatusOr<double> factor = Number(*json, "factor", kMaxFactor);
  if (!factor.ok()) return factor.status();
  return Answer(control.Load(*factor));
}

absl::StatusOr<std::string> DownCommand(Control& control, const std::string& body) {
  const absl::StatusOr<Json> json = Parse(body, {});
  if (!json.ok()) return json.status();
  return Answer(control.Down());
}

}  // namespace lab::bench::live
