#pragma once

#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"

namespace lab::async {

// The end-of-turn work of a store's client: what it has found that fails where callbacks may not run (inside the call
// that issued them, in the middle of the library's own work) ends there. `Callback` takes an absl::Status. On the
// loop's thread.
template <typename Callback>
class TurnEnd {
 public:
  explicit TurnEnd(Loop& loop) : loop_(loop) {}

  // There is work for the client's hook. What is issued after the hook, by a later one of the same turn, must not wait
  // for the next event.
  void Ensure() {
    if (requested_ || reached_ != loop_.turn_time()) return;
    requested_ = true;
    loop_.Post([] {});
  }
  // Calls back at the end of a turn.
  void Fail(Callback callback, const absl::Status& status) {
    failed_.push_back({std::move(callback), status});
    Ensure();
  }
  // The client's hook begins: first what has failed, so that what those callbacks issue leaves with the rest. What they
  // fail in turn waits for the next end.
  void Begin() {
    reached_ = loop_.turn_time();
    requested_ = false;
    failing_.swap(failed_);
    for (Failed& each : failing_) each.callback(each.status);
    failing_.clear();
  }
  // The client's hook ends.
  void End() {
    if (!failed_.empty()) Ensure();
  }
  // No hook comes any more: all of them now.
  void Close() {
    std::vector<Failed> rest = std::exchange(failed_, {});
    for (Failed& each : rest) each.callback(each.status);
  }

 private:
  struct Failed {
    Callback callback;
    absl::Status status;
  };
  Loop& loop_;
  std::vector<Failed> failed_;
  std::vector<Failed> failing_;  // kept for its capacity
  Clock::time_point reached_{};  // the turn whose end the hook has seen
  bool requested_ = false;
};

}  // namespace lab::async
