#include "bench/fault/failpoint_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/fault/failpoint_faults.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"
#include "services/runtime/failpoint/spec.h"

namespace lab::bench {
namespace {

using nlohmann::json;

std::string TextOf(const json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

absl::StatusOr<json> FindPoint(const std::string& points_json, const std::string& name) {
  const json points = json::parse(points_json, nullptr, false);
  if (!points.is_array()) return absl::DataLossError("not a list of failpoints");
  std::vector<std::string> known;
  for (const json& point : points) {
    if (!point.is_object()) return absl::DataLossError("not a list of failpoints");
    known.push_back(TextOf(point, "name"));
    if (known.back() == name) return point;
  }
  return absl::NotFoundError(Concat("no failpoint ", JsonString(name), " in this service", Suggestion(name, known)));
}

}  // namespace

std::map<std::string, std::string> FailpointOptions(const std::map<std::string, std::string>& given) {
  std::map<std::string, std::string> options = given;
  for (const FaultOption& option : FailpointFaultOptions()) {
    if (!option.fallback.empty()) options.emplace(option.name, option.fallback);
  }
  // The fallback of a delay is for delays only; a delay that was given with another action is an error.
  if (options["action"] != "delay" && given.count("delay") == 0) options.erase("delay");
  return options;
}

std::string FailpointError(const std::string& points_json, const std::map<std::string, std::string>& given) {
  std::map<std::string, std::string> options = FailpointOptions(given);
  const absl::StatusOr<json> point = FindPoint(points_json, options["point"]);
  if (!point.ok()) return std::string(point.status().message());
  options.erase("point");
  const absl::StatusOr<failpoint::Spec> spec = failpoint::ParseSpec(options);
  if (!spec.ok()) return std::string(spec.status().message());
  std::vector<std::string> actions;
  if (const auto listed = point->find("actions"); listed != point->end() && listed->is_array()) {
    for (const json& action : *listed) actions.push_back(action.is_string() ? action.get<std::string>() : "");
  }
  if (std::find(actions.begin(), actions.end(), options["action"]) != actions.end()) return "";
  return Concat(TextOf(*point, "name"), " takes no ", options["action"], Suggestion(options["action"], actions));
}

absl::StatusOr<FailpointOfService> FindFailpoint(const std::string& points_json, const std::string& name) {
  const absl::StatusOr<json> point = FindPoint(points_json, name);
  if (!point.ok()) return point.status();
  FailpointOfService found{name, TextOf(*point, "armed"), "", "", ""};
  if (const auto evidence = point->find("evidence"); evidence != point->end() && evidence->is_object()) {
    found.error = TextOf(*evidence, "error");
    found.timeout = TextOf(*evidence, "timeout");
    found.duration = TextOf(*evidence, "duration");
  }
  return found;
}

}  // namespace lab::bench
