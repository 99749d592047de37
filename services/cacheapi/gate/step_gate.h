#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace lab::cacheapi {

// The moments of a read or a write at which its order against others decides what is left in the cache.
enum class Step : uint8_t {
  kGet,      // L2 is about to be read; again when somebody else has the lease
  kSelect,   // the database is about to be read
  kLoad,     // what it has answered is about to be used, where others wait for it or L1 keeps it
  kKeep,     // what L2 has answered, or has taken, is about to be kept in L1
  kSet,      // L2 is about to be written, by a fill or a write
  kWrite,    // the row is about to be written, uncommitted
  kCommit,   // the write is about to be committed
  kDelete,   // L2 is about to be deleted from
  kEnqueue,  // the write is about to be put into the durable queue
  kAnswer,   // a write whose cache somebody else tells is about to be acknowledged
  kPublish,  // what Redis tells this process of a change in L2 is about to be heard
  kTake,     // a feed is about to take what has been committed, or queued, since it took last
  kApply,    // an invalidation is about to be applied here
  kAck,      // what the queue has applied is about to leave it
};
std::string_view Name(Step step);  // "get", "select", …

// Holds actors at their steps until they are told to go on, so that one who drives it from outside chooses the order of
// everything (the race explorer). An actor is a request that names itself ("R1"); one without a name is never held.
// What tells of commits is an actor too, in what concerns the one brand that is watched: kFeed (outbox, log, queue;
// feed_steps.h) and kPush (what Redis tells, tracking.h). Off unless asked for: then there is no gate at all. On the
// loop's thread.
class StepGate {
 public:
  using Then = absl::AnyInvocable<void()>;
  static constexpr char kFeed[] = "feed";
  static constexpr char kPush[] = "push";
  static constexpr char kAtWork[] = "feed at work";  // present, and never held: a feed or a push between its steps

  // Something of an actor that is under way: while one exists the actor is present. May outlive the gate.
  class Presence {
   public:
    Presence() = default;
    Presence(StepGate* gate, std::string_view actor);  // of nothing, without a gate or a name
    Presence(Presence&& other) noexcept = default;
    Presence& operator=(Presence&& other) noexcept;
    ~Presence() { Leave(); }

   private:
    void Leave();
    std::weak_ptr<StepGate*> gate_;  // empty once the gate has gone
    std::string actor_;
  };

  StepGate() : self_(std::make_shared<StepGate*>(this)) {}
  StepGate(const StepGate&) = delete;
  StepGate& operator=(const StepGate&) = delete;

  // Holds `actor` before `step`; `then` runs once it is let go, not within this call. With an empty actor at once.
  // `died` runs when it dies there instead: what those who live come to see of that.
  void Arrive(std::string_view actor, Step step, Then then, Then died = nullptr);
  // Lets the actor take its step. False when it is not held.
  bool Go(std::string_view actor);
  // The actor dies here: its step and whatever would follow never happen. What it holds open ends with it (its
  // transaction is rolled back), what it left elsewhere stays (its lease). False when it is not held.
  bool Die(std::string_view actor);
  // Lets everybody go, now and from now on.
  void Open();

  // From now on feeds and pushes are held in what concerns this brand, and in nothing else; "", as at first: in
  // nothing. Those that are held for another one are let go; a feed that waits to take waits on, but where nothing
  // is watched any more.
  void Watch(std::string_view brand);
  const std::string& watched() const { return watched_; }
  bool watching() const { return !open_ && !watched_.empty(); }
  bool Watches(std::string_view brand) const { return watching() && brand == watched_; }

  // The actor waits for what another one loads: only that one's end moves it.
  void Waits(std::string_view actor);
  // Its client has been answered; it may still have steps before it.
  void Answered(std::string_view actor);

  struct Held {
    std::string actor;
    Step step;
  };
  std::vector<Held> held() const;  // by actor
  struct Present {
    std::string actor;
    bool waits = false, answered = false;
  };
  std::vector<Present> present() const;  // by actor
  // Whether nothing moves by itself: everybody who is present is held, or waits for one who is.
  bool quiet() const;
  // Called whenever one of these has changed.
  void OnChange(std::function<void()> callback) { on_change_ = std::move(callback); }

 private:
  struct Waiting {
    Step step;
    Then then, died;
  };
  struct State {
    int presences = 0;
    bool waits = false, answered = false;
  };
  void Changed() const {
    if (on_change_) on_change_();
  }
  std::multimap<std::string, Waiting, std::less<>> held_;  // those of one actor in the order in which they came
  std::map<std::string, State, std::less<>> present_;
  std::function<void()> on_change_;
  std::shared_ptr<StepGate*> self_;  // shared with presences, which ask whether it is still there
  std::string watched_;
  bool open_ = false;
};

}  // namespace lab::cacheapi
