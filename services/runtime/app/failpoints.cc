#include "services/runtime/app/failpoints.h"

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

using failpoint::Controller;
using failpoint::Point;
using failpoint::Spec;

constexpr std::string_view kPath = "/failpoints/";

bool IsLoopback(const std::string& host) { return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0; }

http::Response Json(std::string body) { return {200, "application/json", std::move(body), {}}; }

// The point that the path names, and then `answer`.
http::Server::Handler ForPoint(std::function<http::Response(const Point&, const http::Request&)> answer) {
  return [answer = std::move(answer)](const http::Request& request, http::Server::Respond respond) {
    if (request.method != "GET" && !request.Header("origin").empty()) {
      return respond(http::Problem(403, "Forbidden", "failpoints are not for web pages"));
    }
    const absl::StatusOr<const Point*> point = failpoint::FindPoint(request.path.substr(kPath.size()));
    respond(point.ok() ? answer(**point, request) : http::FromStatus(point.status()));
  };
}

}  // namespace

void FailpointSettings::Declare(Schema& schema) {
  schema.Bool("failpoints.enabled", &enabled, "Whether failpoints can be armed, here or at /failpoints on http.port");
  schema.Int("failpoints.seed", &seed, 1, 2'000'000'000, "Of the choice by share=: the same one, the same choices");
  for (const Point* point : failpoint::AllPoints()) {
    const std::string name(point->name());
    schema.Text(
        Concat("failpoints.", name), "failpoint",
        [this, point, name](std::string_view text) {
          specs.erase(name);
          if (text.empty()) return absl::OkStatus();
          absl::StatusOr<Spec> spec = failpoint::ParseSpecText(*point, text);
          if (spec.ok()) specs[name] = *std::move(spec);
          return spec.status();
        },
        [this, name] {
          const auto found = specs.find(name);
          return found == specs.end() ? std::string() : failpoint::SpecText(found->second);
        },
        Concat("Armed from the start, as \"delay delay=20ms share=0.1\", when ", point->doc()));
  }
}

absl::Status FailpointSettings::Check(const std::string& host) const {
  std::vector<std::string> errors;
  if (enabled && !IsLoopback(host)) {
    errors.push_back(Concat("failpoints.enabled lets every client of http.host ", host,
                            " end this process: set http.host to 127.0.0.1, or leave failpoints off"));
  }
  for (const auto& [name, spec] : specs) {
    if (!enabled) errors.push_back(Concat("failpoints.", name, " is set, but failpoints.enabled is false"));
  }
  return errors.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

void FailpointSettings::Arm(Controller& controller) const {
  for (const Point* point : failpoint::AllPoints()) {
    const auto found = specs.find(std::string(point->name()));
    if (found != specs.end()) controller.Arm(*point, found->second);
  }
}

void AddFailpointPages(http::Server& http, Controller& controller) {
  http.Handle("GET", "/failpoints", [&controller](const http::Request&, http::Server::Respond respond) {
    respond(Json(controller.StatesJson()));
  });
  const std::string path = Concat(kPath, "*");
  http.Handle("GET", path, ForPoint([&controller](const Point& point, const http::Request&) {
                return Json(controller.StateJson(point) + "\n");
              }));
  http.Handle("PUT", path, ForPoint([&controller](const Point& point, const http::Request& request) {
                const absl::StatusOr<Spec> spec = failpoint::ParseSpec(point, request.query);
                if (!spec.ok()) return http::FromStatus(spec.status());
                controller.Arm(point, *spec);
                return Json(controller.StateJson(point) + "\n");
              }));
  http.Handle("DELETE", path, ForPoint([&controller](const Point& point, const http::Request&) {
                controller.Disarm(point);
                return Json(controller.StateJson(point) + "\n");
              }));
}

}  // namespace lab::app
