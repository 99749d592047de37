#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace lab::cacheapi {

// The moments of a read or a write at which its order against others decides what is left in the cache.
enum class Step : uint8_t {
  kGet,      // L2 is about to be read
  kSelect,   // the database is about to be read
  kSet,      // L2 is about to be written by a fill
  kWrite,    // the row is about to be written, uncommitted
  kCommit,   // the write is about to be committed
  kDelete,   // L2 is about to be deleted from
  kPublish,  // others are about to be told
  kApply,    // an invalidation is about to be applied here
};
std::string_view Name(Step step);  // "get", "select", …

// Holds actors at their steps until they are told to go on, so that one who drives it from outside chooses the order of
// everything (the race explorer). An actor is a request that names itself ("R1"); one without a name is never held. Off
// unless asked for: then there is no gate at all. On the loop's thread.
class StepGate {
 public:
  using Then = absl::AnyInvocable<void()>;

  // Holds `actor` before `step`; `then` runs once it is let go, not within this call. With an empty actor at once.
  void Arrive(std::string_view actor, Step step, Then then);
  // Lets the actor take its step. False when it is not held.
  bool Go(std::string_view actor);
  // The actor dies here: its step and whatever would follow never happen. False when it is not held.
  bool Die(std::string_view actor);
  // Lets everybody go, now and from now on.
  void Open();

  struct Held {
    std::string actor;
    Step step;
  };
  std::vector<Held> held() const;  // by actor
  // Called whenever somebody has arrived.
  void OnArrival(std::function<void()> callback) { on_arrival_ = std::move(callback); }

 private:
  struct Waiting {
    Step step;
    Then then;
  };
  std::map<std::string, Waiting, std::less<>> held_;
  std::function<void()> on_arrival_;
  bool open_ = false;
};

}  // namespace lab::cacheapi
