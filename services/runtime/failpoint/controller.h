#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/failpoint/point.h"
#include "services/runtime/failpoint/spec.h"
#include "services/runtime/obs/metrics.h"

namespace lab::failpoint {

// What the adapter does with the operation that asked.
struct Decision {
  Action action = Action::kNone;
  Nanos delay{};
};

// The failpoints of one process: which are armed, and how. Made only when the configuration asks for failpoints;
// adapters get a pointer to it, which is null otherwise, so that what they cost is one branch that is never taken.
// On the loop's thread. Outlives the adapters that have it.
//
// Metrics: failpoint_hits_total{point,action}, failpoint_armed{point} (1 or 0).
class Controller {
 public:
  Controller(async::Loop& loop, obs::Metrics& metrics, uint64_t seed);
  ~Controller();

  // Replaces what was armed there; its counts begin anew. After `spec.lasts` it disarms itself, whoever armed it.
  void Arm(const Point& point, const Spec& spec);
  // Nothing when it is not armed.
  void Disarm(const Point& point);
  bool armed(const Point& point) const { return states_[point.index()].spec.action != Action::kNone; }

  // Asked by an adapter for each operation that comes by: what to do with it. For kCrash it does not return.
  Decision Hit(const Point& point, std::string_view operation) {
    if (!armed(point)) return {};
    return Decide(point, operation);
  }

  // Runs `what` on the loop after the delay; never when the loop ends before.
  void After(Nanos delay, absl::AnyInvocable<void()> what);

  // The point with its state: "armed": text of its spec or null, "hits": how often it acted since the start.
  std::string StateJson(const Point& point) const;
  std::string StatesJson() const;

 private:
  struct State {
    Spec spec;
    int64_t passed = 0;                     // operations that the filter took
    int64_t hits = 0;                       // since it was armed
    uint64_t arming = 0;                    // tells the end of an earlier arming from that of this one
    std::vector<obs::Counter*> hits_total;  // by action; null where the point does not take it
    obs::Gauge* armed = nullptr;
  };
  Decision Decide(const Point& point, std::string_view operation);

  async::Loop& loop_;
  Random random_;
  std::vector<State> states_;    // by index of the point
  std::shared_ptr<bool> alive_;  // shared with timers in flight
};

// The exit status of a crash that a failpoint asked for: what a shell shows for kill -9.
inline constexpr int kCrashStatus = 137;

}  // namespace lab::failpoint
