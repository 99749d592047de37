#include "services/runtime/failpoint/controller.h"

#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <utility>

#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::failpoint {

Controller::Controller(async::Loop& loop, obs::Metrics& metrics, uint64_t seed)
    : loop_(loop), random_(seed), states_(AllPoints().size()), alive_(std::make_shared<bool>(true)) {
  for (const Point* point : AllPoints()) {
    State& state = states_[point->index()];
    const std::string name(point->name());
    state.armed = &metrics.AddGauge("failpoint_armed", "Whether the failpoint is armed", {{"point", name}});
    state.hits_total.resize(static_cast<size_t>(Action::kApplyThenTimeout) + 1);
    for (const Action action : point->actions()) {
      state.hits_total[static_cast<size_t>(action)] =
          &metrics.AddCounter("failpoint_hits_total", "Operations on which an armed failpoint acted",
                              {{"point", name}, {"action", std::string(ActionName(action))}});
    }
  }
}

Controller::~Controller() { *alive_ = false; }

void Controller::Arm(const Point& point, const Spec& spec) {
  State& state = states_[point.index()];
  state.spec = spec;
  state.passed = state.hits = 0;
  state.armed->Set(1);
  obs::Log(obs::Level::kWarn, "failpoint_armed", {{"point", point.name()}, {"spec", SpecText(spec)}});
  const uint64_t arming = ++state.arming;
  if (spec.lasts <= Nanos(0)) return;
  After(spec.lasts, [this, alive = alive_, &point, arming] {
    if (*alive && states_[point.index()].arming == arming) Disarm(point);
  });
}

void Controller::Disarm(const Point& point) {
  if (!armed(point)) return;
  State& state = states_[point.index()];
  state.spec = Spec();
  state.armed->Set(0);
  ++state.arming;
  obs::Log(obs::Level::kInfo, "failpoint_disarmed", {{"point", point.name()}, {"hits", state.hits}});
}

Decision Controller::Decide(const Point& point, std::string_view operation) {
  State& state = states_[point.index()];
  const Spec& spec = state.spec;
  if (!spec.operation.empty() && spec.operation != operation) return {};
  if (++state.passed % spec.every != 0) return {};
  if (spec.share < 1 && random_.Uniform() >= spec.share) return {};
  const Decision decision{spec.action, spec.delay};
  state.hits_total[static_cast<size_t>(decision.action)]->Increment();
  ++state.hits;
  if (decision.action == Action::kCrash) {
    obs::Log(obs::Level::kError, "failpoint_crash", {{"point", point.name()}, {"operation", operation}});
    _exit(kCrashStatus);
  }
  if (spec.times > 0 && state.hits >= spec.times) Disarm(point);
  return decision;
}

void Controller::After(Nanos delay, absl::AnyInvocable<void()> what) {
  auto timer = std::make_shared<boost::asio::steady_timer>(loop_.io(), delay);  // shared with its own handler only
  auto& armed = *timer;
  armed.async_wait([timer = std::move(timer), what = std::move(what)](const boost::system::error_code& error) mutable {
    if (!error) what();
  });
}

std::string Controller::StateJson(const Point& point) const {
  const State& state = states_[point.index()];
  double hits = 0;
  for (const obs::Counter* counter : state.hits_total) hits += counter != nullptr ? counter->Value() : 0;
  const std::string armed_as = armed(point) ? JsonString(SpecText(state.spec)) : "null";
  return Concat(OpenJson(point), ",\"armed\":", armed_as, ",\"hits\":", JsonNumber(hits), "}");
}

std::string Controller::StatesJson() const {
  std::string out = "[";
  for (const Point* point : AllPoints()) out += Concat(out.size() > 1 ? ",\n " : "", StateJson(*point));
  return out + "]\n";
}

}  // namespace lab::failpoint
