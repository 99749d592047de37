#pragma once

#include <memory>
#include <string_view>

#include "services/cacheapi/gate/step_gate.h"

namespace lab::cacheapi {

// The steps of a feed at the gate: of one that takes batches (outbox, queue), tells L2 of each brand in them
// (Writer::Apply, which has its own step), and ends them. While a brand is watched the feed's timers stand still, and
// it takes its next batch when it is told to: so a schedule says what a batch has in it, not the time. All as the actor
// StepGate::kFeed. Without a gate, or while nothing is watched, nothing is held. On the loop's thread.
class FeedSteps {
 public:
  using Then = StepGate::Then;
  FeedSteps() = default;
  explicit FeedSteps(StepGate* gate);  // may be null

  // Whether the next batch waits to be told of, instead of for a timer.
  bool gated() const { return gate_ != nullptr && gate_->watching(); }
  bool Watches(std::string_view brand) const { return gate_ != nullptr && gate_->Watches(brand); }
  // Only where it is gated. One that waits already goes on waiting, and `then` of the later call is dropped.
  void Take(Then then);
  // Before it ends a batch in which the watched brand is, or at once. `died`: the process dies there; what it has not
  // ended comes again.
  void At(Step step, Then then, Then died);
  // It is under way from Take to the next one, but for the time in which others work for it.
  void Rests() { state_->at_work = StepGate::Presence(); }
  void Works() {
    if (gated()) state_->at_work = StepGate::Presence(gate_, StepGate::kAtWork);
  }

 private:
  struct State {
    StepGate::Presence at_work;
    bool waits = false;
  };
  StepGate* gate_ = nullptr;
  std::shared_ptr<State> state_ = std::make_shared<State>();  // shared with who is held
};

}  // namespace lab::cacheapi
