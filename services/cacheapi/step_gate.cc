#include "services/cacheapi/step_gate.h"

#include <utility>

namespace lab::cacheapi {

std::string_view Name(Step step) {
  switch (step) {
    case Step::kGet:
      return "get";
    case Step::kSelect:
      return "select";
    case Step::kSet:
      return "set";
    case Step::kWrite:
      return "write";
    case Step::kCommit:
      return "commit";
    case Step::kDelete:
      return "delete";
    case Step::kPublish:
      return "publish";
    case Step::kApply:
      return "apply";
  }
  return "?";
}

void StepGate::Arrive(std::string_view actor, Step step, Then then) {
  if (open_ || actor.empty()) return then();
  held_.insert_or_assign(std::string(actor), Waiting{step, std::move(then)});
  if (on_arrival_) on_arrival_();
}

bool StepGate::Go(std::string_view actor) {
  const auto found = held_.find(actor);
  if (found == held_.end()) return false;
  Then then = std::move(found->second.then);
  held_.erase(found);
  then();
  return true;
}

bool StepGate::Die(std::string_view actor) {
  const auto found = held_.find(actor);
  if (found == held_.end()) return false;
  held_.erase(found);
  return true;
}

void StepGate::Open() {
  open_ = true;
  while (!held_.empty()) Go(std::string(held_.begin()->first));
}

std::vector<StepGate::Held> StepGate::held() const {
  std::vector<Held> all;
  for (const auto& [actor, waiting] : held_) all.push_back({actor, waiting.step});
  return all;
}

}  // namespace lab::cacheapi
