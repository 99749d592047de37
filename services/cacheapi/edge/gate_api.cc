#include "services/cacheapi/edge/gate_api.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

constexpr int kMostWaitMs = 10'000;
constexpr int kWaitMs = 1'000;

std::string_view Given(const http::Request& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string_view() : std::string_view(found->second);
}

const char* Bool(bool value) { return value ? "true" : "false"; }

}  // namespace

GateApi::GateApi(StepGate& gate, async::Loop& loop, Hear hear)
    : gate_(gate), loop_(loop), hear_(std::move(hear)), alive_(std::make_shared<bool>(true)) {
  gate_.OnChange([this] { Look(); });
}

GateApi::~GateApi() {
  *alive_ = false;
  gate_.OnChange(nullptr);
}

void GateApi::Register(http::Server& server) {
  server.Handle("GET", "/gate", [this](const http::Request& request, http::Server::Respond respond) {
    Wait(request, 0, std::move(respond));
  });
  const auto acts = [this, &server](const char* path, bool (StepGate::*act)(std::string_view)) {
    server.Handle("POST", path, [this, act](const http::Request& request, http::Server::Respond respond) {
      const std::string_view actor = Given(request, "actor");
      if (!(gate_.*act)(actor)) {
        return respond(http::Problem(404, "not held", Concat("\"", actor, "\" is not held at a step")));
      }
      Wait(request, kWaitMs, std::move(respond));
    });
  };
  acts("/gate/go", &StepGate::Go);
  acts("/gate/die", &StepGate::Die);
  server.Handle("POST", "/gate/watch", [this](const http::Request& request, http::Server::Respond respond) {
    gate_.Watch(Given(request, "brand"));
    Wait(request, 0, std::move(respond));
  });
  server.Handle("POST", "/gate/hear", [this](const http::Request& request, http::Server::Respond respond) {
    hear_([this, alive = alive_, request, respond = std::move(respond)]() mutable {
      if (*alive) Wait(request, kWaitMs, std::move(respond));
    });
  });
}

void GateApi::Wait(const http::Request& request, int default_wait_ms, http::Server::Respond respond) {
  int wait_ms = default_wait_ms;
  const std::string_view given = Given(request, "wait_ms");
  if (!given.empty() && (!absl::SimpleAtoi(View(given), &wait_ms) || wait_ms < 0 || wait_ms > kMostWaitMs)) {
    return respond(http::Problem(400, "bad wait_ms", "wait_ms is a whole number of milliseconds, 0 … 10000"));
  }
  if (wait_ms == 0) {
    http::Response response;
    response.content_type = "application/json";
    response.body = Describe();
    return respond(std::move(response));
  }
  const auto one = std::make_shared<Waiting>(std::move(respond), loop_);
  waiting_.push_back(one);
  one->timer.expires_after(Millis(wait_ms));
  one->timer.async_wait([this, alive = alive_, one](const boost::system::error_code& error) {
    if (error || !*alive || !one->respond) return;
    waiting_.remove(one);
    Answer(*one);
  });
  Look();
}

// Not at once: within one turn an actor may leave and come back, or hand over to another one.
void GateApi::Look() {
  if (looking_ || waiting_.empty()) return;
  looking_ = true;
  loop_.Post([this, alive = alive_] {
    if (!*alive) return;
    looking_ = false;
    Settle();
  });
}

void GateApi::Settle() {
  if (!gate_.quiet()) return;
  for (const std::shared_ptr<Waiting>& one : std::exchange(waiting_, {})) Answer(*one);
}

void GateApi::Answer(Waiting& one) {
  one.timer.cancel();
  http::Server::Respond respond = std::exchange(one.respond, nullptr);
  http::Response response;
  response.content_type = "application/json";
  response.body = Describe();
  respond(std::move(response));
}

std::string GateApi::Describe() const {
  std::string text = Concat("{\"quiet\":", Bool(gate_.quiet()), ",\"held\":[");
  const char* comma = "";
  for (const StepGate::Held& held : gate_.held()) {
    text += Concat(comma, "{\"actor\":", JsonString(held.actor), ",\"step\":\"", Name(held.step), "\"}");
    comma = ",";
  }
  text += "],\"present\":[";
  comma = "";
  for (const StepGate::Present& present : gate_.present()) {
    text += Concat(comma, "{\"actor\":", JsonString(present.actor), ",\"waits\":", Bool(present.waits),
                   ",\"answered\":", Bool(present.answered), "}");
    comma = ",";
  }
  return text + "]}";
}

}  // namespace lab::cacheapi
