#include "services/cacheapi/gate/step_gate.h"

#include <utility>

namespace lab::cacheapi {

std::string_view Name(Step step) {
  switch (step) {
    case Step::kGet:
      return "get";
    case Step::kSelect:
      return "select";
    case Step::kLoad:
      return "load";
    case Step::kKeep:
      return "keep";
    case Step::kSet:
      return "set";
    case Step::kWrite:
      return "write";
    case Step::kCommit:
      return "commit";
    case Step::kDelete:
      return "delete";
    case Step::kEnqueue:
      return "enqueue";
    case Step::kAnswer:
      return "answer";
    case Step::kPublish:
      return "publish";
    case Step::kTake:
      return "take";
    case Step::kApply:
      return "apply";
    case Step::kAck:
      return "ack";
  }
  return "?";
}

StepGate::Presence::Presence(StepGate* gate, std::string_view actor) {
  if (gate == nullptr || actor.empty()) return;
  gate_ = gate->self_;
  actor_ = std::string(actor);
  ++gate->present_[actor_].presences;
  gate->Changed();
}

StepGate::Presence& StepGate::Presence::operator=(Presence&& other) noexcept {
  if (this == &other) return *this;
  Leave();
  gate_ = std::move(other.gate_);
  actor_ = std::move(other.actor_);
  return *this;
}

void StepGate::Presence::Leave() {
  const std::shared_ptr<StepGate*> gate = std::exchange(gate_, {}).lock();
  if (gate == nullptr) return;
  StepGate& there = **gate;
  const auto found = there.present_.find(actor_);
  if (found == there.present_.end()) return;
  if (--found->second.presences == 0) there.present_.erase(found);
  there.Changed();
}

void StepGate::Arrive(std::string_view actor, Step step, Then then, Then died) {
  if (open_ || actor.empty()) return then();
  held_.emplace(std::string(actor), Waiting{step, std::move(then), std::move(died)});
  Changed();
}

bool StepGate::Go(std::string_view actor) {
  const auto first = held_.lower_bound(actor);
  if (first == held_.end() || first->first != actor) return false;
  Then then = std::move(first->second.then);
  held_.erase(first);
  then();
  return true;
}

bool StepGate::Die(std::string_view actor) {
  std::vector<Waiting> never;
  for (auto next = held_.lower_bound(actor); next != held_.end() && next->first == actor; next = held_.erase(next)) {
    never.push_back(std::move(next->second));
  }
  for (Waiting& one : never) {
    one.then = nullptr;  // what it holds goes with it, which may call back
    if (one.died) one.died();
  }
  return !never.empty();
}

void StepGate::Open() {
  open_ = true;
  while (!held_.empty()) Go(std::string(held_.begin()->first));
}

void StepGate::Watch(std::string_view brand) {
  watched_ = std::string(brand);
  std::vector<Then> others;
  for (auto next = held_.begin(); next != held_.end();) {
    const bool tells = next->first == kFeed || next->first == kPush;
    if (tells && (brand.empty() || next->second.step != Step::kTake)) {
      others.push_back(std::move(next->second.then));
      next = held_.erase(next);
    } else {
      ++next;
    }
  }
  for (Then& then : others) then();
}

void StepGate::Waits(std::string_view actor) {
  const auto found = present_.find(actor);
  if (found == present_.end()) return;
  found->second.waits = true;
  Changed();
}

void StepGate::Answered(std::string_view actor) {
  const auto found = present_.find(actor);
  if (found != present_.end()) found->second.answered = true;
}

std::vector<StepGate::Held> StepGate::held() const {
  std::vector<Held> all;
  for (const auto& [actor, waiting] : held_) all.push_back({actor, waiting.step});
  return all;
}

std::vector<StepGate::Present> StepGate::present() const {
  std::vector<Present> all;
  for (const auto& [actor, state] : present_) all.push_back({actor, state.waits, state.answered});
  return all;
}

bool StepGate::quiet() const {
  for (const auto& [actor, state] : present_) {
    if (!state.waits && held_.find(actor) == held_.end()) return false;
  }
  return true;
}

}  // namespace lab::cacheapi
