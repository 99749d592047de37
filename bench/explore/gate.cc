#include "bench/explore/gate.h"

#include <nlohmann/json.hpp>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr std::chrono::seconds kPatience{5};  // beyond the time that the gate was asked to wait

absl::StatusOr<GateView> ViewOf(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("held") || !json.contains("present")) {
    return absl::DataLossError("the gate does not tell how it stands");
  }
  GateView view;
  view.quiet = json.value("quiet", false);
  for (const nlohmann::json& held : json["held"])
    view.held.emplace_back(held.value("actor", ""), held.value("step", ""));
  for (const nlohmann::json& one : json["present"]) {
    view.present[one.value("actor", "")] = {one.value("waits", false), one.value("answered", false)};
  }
  return view;
}

}  // namespace

std::string GateView::StepOf(const std::string& actor) const {
  for (const auto& [name, step] : held) {
    if (name == actor) return step;
  }
  return "";
}

absl::StatusOr<GateView> Gate::Look(Millis wait) { return Ask("GET", "/gate", "", wait); }

absl::StatusOr<GateView> Gate::Ask(const char* method, const char* path, const std::string& actor, Millis wait) {
  HttpRequest request;
  request.method = method;
  request.path = Concat(path, "?wait_ms=", wait.count(), actor.empty() ? "" : Concat("&actor=", actor));
  const absl::StatusOr<HttpReply> reply = connection_.Call(request, Clock::now() + wait + kPatience);
  if (!reply.ok()) return absl::Status(reply.status().code(), Concat("the gate: ", reply.status().message()));
  if (reply->status == 404) {
    return absl::NotFoundError(actor.empty() ? "the service has no gate; set gate.enabled: true"
                                             : Concat("the gate does not hold ", actor));
  }
  if (reply->status != 200) return absl::InternalError(Concat("the gate answers ", reply->status, ": ", reply->body));
  return ViewOf(reply->body);
}

}  // namespace lab::bench::explore
