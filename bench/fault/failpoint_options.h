#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "services/runtime/failpoint/point.h"

namespace lab::bench {

// One failpoint of a service as the service tells it (--print-failpoints, GET /failpoints).
struct FailpointOfService {
  std::string name;
  std::string armed;                     // how; "" when it is not
  std::string error, timeout, duration;  // its evidence (services/runtime/failpoint/point.h)
};

// What the options of the fault `failpoint` mean once those that are not given have their defaults: names and values as
// the service takes them, with `point`.
std::map<std::string, std::string> FailpointOptions(const std::map<std::string, std::string>& given);

// "" or what is wrong with the options, for a service that has these points (JSON), with the nearest right name.
std::string FailpointError(const std::string& points_json, const std::map<std::string, std::string>& given);

// The point of that name. NOT_FOUND with the nearest one; DATA_LOSS for what is no list of points.
absl::StatusOr<FailpointOfService> FindFailpoint(const std::string& points_json, const std::string& name);

}  // namespace lab::bench
