#include "bench/explore/gate.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr std::chrono::seconds kPatience{5};  // beyond the time that the gate was asked to wait

std::string TextOf(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

bool TrueIn(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_boolean() && found->get<bool>();
}

bool AreObjects(const nlohmann::json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_array() &&
         std::all_of(found->begin(), found->end(), [](const nlohmann::json& one) { return one.is_object(); });
}

}  // namespace

absl::StatusOr<GateView> ParseGateView(const std::string& text) {
  const nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !AreObjects(json, "held") || !AreObjects(json, "present")) {
    return absl::DataLossError("the gate does not tell how it stands");
  }
  GateView view;
  view.quiet = TrueIn(json, "quiet");
  for (const nlohmann::json& held : json["held"]) view.held.emplace_back(TextOf(held, "actor"), TextOf(held, "step"));
  for (const nlohmann::json& one : json["present"]) {
    view.present[TextOf(one, "actor")] = {TrueIn(one, "waits"), TrueIn(one, "answered")};
  }
  return view;
}

std::string GateView::StepOf(const std::string& actor) const {
  for (const auto& [name, step] : held) {
    if (name == actor) return step;
  }
  return "";
}

size_t GateView::Count(const std::string& actor, const std::string& step) const {
  return static_cast<size_t>(std::count(held.begin(), held.end(), std::pair(actor, step)));
}

absl::StatusOr<GateView> Gate::Look(Millis wait) { return Ask("GET", "/gate", "", wait); }

absl::StatusOr<std::string> Gate::Call(const char* method, const std::string& path, Millis wait) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  absl::StatusOr<HttpReply> reply = connection_.Call(request, Clock::now() + wait + kPatience);
  if (!reply.ok()) return absl::Status(reply.status().code(), Concat("the gate: ", reply.status().message()));
  if (reply->status == 404) return absl::NotFoundError("the service has no gate; set gate.enabled: true");
  if (reply->status != 200) return absl::InternalError(Concat("the gate answers ", reply->status, ": ", reply->body));
  return std::move(reply->body);
}

absl::StatusOr<GateView> Gate::Ask(const char* method, const char* path, const std::string& actor, Millis wait) {
  const std::string whom = actor.empty() ? "" : Concat("&actor=", actor);
  const absl::StatusOr<std::string> answer = Call(method, Concat(path, "?wait_ms=", wait.count(), whom), wait);
  if (absl::IsNotFound(answer.status()) && !actor.empty()) {
    return absl::NotFoundError(Concat("the gate does not hold ", actor));
  }
  return answer.ok() ? ParseGateView(*answer) : answer.status();
}

absl::Status Gate::Watch(const std::string& brand) {
  return Call("POST", Concat("/gate/watch?brand=", brand), Millis(0)).status();
}

absl::StatusOr<GateView> Gate::Hear() {
  const absl::StatusOr<std::string> answer = Call("POST", "/gate/hear", Millis(0));
  return answer.ok() ? ParseGateView(*answer) : answer.status();
}

}  // namespace lab::bench::explore
