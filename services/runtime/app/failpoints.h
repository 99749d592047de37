#pragma once

#include <map>
#include <string>

#include "absl/status/status.h"
#include "services/runtime/app/config.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/http/server.h"

namespace lab::app {

// The fields of failpoints: failpoints.enabled, failpoints.seed, and one for each point of the program
// ("failpoints.redis.script.before: error share=0.1").
struct FailpointSettings {
  bool enabled = false;
  int seed = 1;
  std::map<std::string, failpoint::Spec> specs;  // armed from the start, by point

  void Declare(Schema& schema);
  // A point is set although failpoints are off, or whoever reaches `host` from elsewhere could end the process.
  absl::Status Check(const std::string& host) const;
  void Arm(failpoint::Controller& controller) const;
};

// By hand and for the bench; there only when failpoints are enabled, 404 otherwise. JSON; errors as problem details.
//   GET    /failpoints              all points with their state
//   GET    /failpoints/NAME
//   PUT    /failpoints/NAME?action=delay&delay=20ms&share=0.1&for=5s     arms it; the names are failpoint::ParseSpec's
//   DELETE /failpoints/NAME         disarms it; also when it is not armed
// Browsers are refused: they send Origin with both, and no page has any business here.
void AddFailpointPages(http::Server& http, failpoint::Controller& controller);

}  // namespace lab::app
