#include "bench/proxy/pipeline.h"

#include <algorithm>
#include <utility>

namespace lab::proxy {

// Hands on to what stands behind a place in the chain.
class Pipeline::Behind : public Outlet {
 public:
  Behind(Pipeline& pipeline, size_t next, Clock::time_point now) : pipeline_(pipeline), next_(next), now_(now) {}
  void Pass(Chunk chunk) override {
    if (next_ < pipeline_.stages_.size()) {
      pipeline_.stages_[next_].stage->Take(std::move(chunk), now_);
    } else if (!pipeline_.end_ && !chunk.rest().empty()) {
      pipeline_.output_.Push(std::move(chunk));
    }
  }
  void Finish(End end) override {
    pipeline_.input_ended_ = true;  // whatever still stands before this place comes to nothing
    if (next_ < pipeline_.stages_.size()) {
      pipeline_.stages_[next_].stage->TakeEnd(end, now_);
    } else if (!pipeline_.end_) {
      pipeline_.end_ = end;
    }
  }

 private:
  Pipeline& pipeline_;
  const size_t next_;
  const Clock::time_point now_;
};

Pipeline::Member Pipeline::MakeMember(const Toxic& toxic, Clock::time_point now) {
  const bool affected = random_.Uniform() < static_cast<double>(toxic.toxicity);
  if (affected) return {toxic, true, MakeStage(toxic, random_, now)};
  Toxic noop = toxic;
  noop.kind = FindToxicKind("noop");
  return {toxic, false, MakeStage(noop, random_, now)};
}

std::vector<Pipeline::Member>::iterator Pipeline::Find(const std::string& name) {
  return std::find_if(stages_.begin(), stages_.end(), [&](const Member& member) { return member.toxic.name == name; });
}

void Pipeline::Add(const Toxic& toxic, Clock::time_point now) {
  stages_.push_back(MakeMember(toxic, now));
  // The stream may have ended before, in which case nothing ever arrives at the new stage: nothing to do for it either.
}

void Pipeline::Update(const Toxic& toxic, Clock::time_point now) {
  const auto member = Find(toxic.name);
  if (member == stages_.end()) return;
  Member changed = MakeMember(toxic, now);
  if (toxic.toxicity == member->toxic.toxicity) changed.affected = member->affected;
  const size_t index = static_cast<size_t>(member - stages_.begin());
  if (changed.affected == member->affected) {
    member->toxic = toxic;
    if (member->affected) member->stage->Update(toxic, now);
  } else {
    Behind out(*this, index + 1, now);
    member->stage->Advance(now, out);
    if (!member->stage->finished()) member->stage->Leave(now, out);
    if (!member->stage->finished()) *member = std::move(changed);
  }
  RunFrom(index, now);
}

void Pipeline::Remove(const std::string& name, Clock::time_point now) {
  const auto member = Find(name);
  if (member == stages_.end()) return;
  const size_t index = static_cast<size_t>(member - stages_.begin());
  Behind out(*this, index + 1, now);
  member->stage->Leave(now, out);
  stages_.erase(member);
  RunFrom(index, now);
}

void Pipeline::Push(std::string_view bytes, Clock::time_point now) {
  if (input_ended_) return;
  Behind(*this, 0, now).Pass({std::string(bytes), 0, now});
}

void Pipeline::PushEnd(End end, Clock::time_point now) {
  if (input_ended_) return;
  Behind(*this, 0, now).Finish(end);
}

void Pipeline::Run(Clock::time_point now) { RunFrom(0, now); }

void Pipeline::RunFrom(size_t first, Clock::time_point now) {
  for (size_t i = first; i < stages_.size(); ++i) {
    Behind out(*this, i + 1, now);
    stages_[i].stage->Advance(now, out);
  }
}

std::optional<Clock::time_point> Pipeline::Due() const {
  std::optional<Clock::time_point> earliest;
  for (const Member& member : stages_) {
    const std::optional<Clock::time_point> due = member.stage->Due();
    if (due && (!earliest || *due < *earliest)) earliest = due;
  }
  return earliest;
}

size_t Pipeline::held() const {
  size_t held = output_.held();
  for (const Member& member : stages_) held += member.stage->held();
  return held;
}

}  // namespace lab::proxy
