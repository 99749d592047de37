#include "services/cacheapi/gate/feed_steps.h"

#include <utility>

namespace lab::cacheapi {

FeedSteps::FeedSteps(StepGate* gate) : gate_(gate) {}

void FeedSteps::Take(Then then) {
  if (std::exchange(state_->waits, true)) return Rests();
  // One that dies before it has taken anything begins again.
  const auto again = std::make_shared<Then>(std::move(then));  // shared by both ends
  auto goes = [gate = gate_, state = state_, again] {
    state->waits = false;
    state->at_work = StepGate::Presence(gate, StepGate::kAtWork);
    (*again)();
  };
  gate_->Arrive(StepGate::kFeed, Step::kTake, goes, [steps = *this, again]() mutable {
    steps.state_->waits = false;
    steps.Take(std::move(*again));
  });
  Rests();
}

void FeedSteps::At(Step step, Then then, Then died) {
  if (!gated()) return then();
  auto goes = [gate = gate_, state = state_, then = std::move(then)]() mutable {
    state->at_work = StepGate::Presence(gate, StepGate::kAtWork);
    then();
  };
  auto dies = [gate = gate_, state = state_, died = std::move(died)]() mutable {
    state->at_work = StepGate::Presence(gate, StepGate::kAtWork);
    died();
  };
  gate_->Arrive(StepGate::kFeed, step, std::move(goes), std::move(dies));
  Rests();
}

}  // namespace lab::cacheapi
