#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/model/value.h"
#include "services/runtime/base/string_map.h"

namespace lab::cacheapi {

// One load at a time for each key, whose outcome all get who wait for it. Single thread; calls back, never blocks.
//
// A flight is a key and a generation. Detach, on an invalidation, ends the generation: who comes from then on is led
// to a new load, because one that had begun before the write may bring what was there before it, and whoever asks after
// a write must not be given that (guava#1881, caffeine#1739). Who had joined before the write still gets it.
class SingleFlight {
  struct Flight;

 public:
  using Outcome = absl::StatusOr<Value>;

  struct Options {
    size_t max_flights = 1024;  // loads that may be under way, detached ones included
    size_t max_waiters = 4096;  // for each of them
  };

  // A request that waits. Its owner keeps it where it is and may destroy it at any time: then it waits no more (its
  // deadline has passed, its client is gone) and is not called back, while the load goes on for the others.
  class Waiter {
   public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    virtual ~Waiter() { Leave(); }
    // Called once for each Join that was not refused, unless it leaves before; may join again, and destroy itself or
    // other waiters. `outcome` is good until it returns.
    virtual void Done(const Outcome& outcome) = 0;
    void Leave();
    bool waiting() const { return flight_ != nullptr; }

   private:
    friend class SingleFlight;
    Flight* flight_ = nullptr;
    Waiter* previous_ = nullptr;
    Waiter* next_ = nullptr;
  };

  // The duty to load, held by one. Dropping it without Finish fails those who wait (ABORTED) instead of locking the key
  // for ever. Must not outlive its SingleFlight; after FailAll it does nothing.
  class Lead {
   public:
    Lead() = default;
    Lead(Lead&& other) noexcept;
    Lead& operator=(Lead&& other) noexcept;
    ~Lead();
    explicit operator bool() const { return flights_ != nullptr; }
    // Hands the outcome to all who wait, in the order in which they came.
    void Finish(const Outcome& outcome);
    // The same with what will do meanwhile (what is stale, say): the load goes on, and whoever joins it later finds
    // this there, until it is finished or detached.
    void Offer(const Outcome& outcome);
    // Whether nobody has detached the flight; what a detached one loaded must not be cached.
    bool current() const;
    size_t waiters() const;  // that would be told now

   private:
    friend class SingleFlight;
    Lead(std::shared_ptr<SingleFlight*> flights, uint64_t id) : flights_(std::move(flights)), id_(id) {}
    std::shared_ptr<SingleFlight*> flights_;  // shared with all leads; null in it once the flights are gone
    uint64_t id_ = 0;
  };

  enum class Role : uint8_t {
    kLeads,  // waits too, and the caller must load: `lead` is set
    kWaits,
    kRefused,  // a bound is reached; it does not wait
  };
  struct Joined {
    Role role = Role::kRefused;
    Lead lead;
    const Outcome* offered = nullptr;  // of kWaits, where there is one; until anything else is called
  };

  explicit SingleFlight(const Options& options);
  // Those who still wait are not called back. A lead may live on, in a callback that nobody runs any more.
  ~SingleFlight();
  SingleFlight(const SingleFlight&) = delete;
  SingleFlight& operator=(const SingleFlight&) = delete;

  // `waiter` must not be waiting.
  Joined Join(std::string_view key, Waiter& waiter);
  // True when there was a flight of this key to detach.
  bool Detach(std::string_view key);
  void DetachAll();
  // Everybody who waits now fails with this error, once, whatever their loads bring later.
  void FailAll(const absl::Status& error);

  size_t flights() const { return flights_.size(); }
  size_t waiters() const { return waiters_; }

 private:
  static void Tell(Flight& flight, const Outcome& outcome);
  void Detach(Flight& flight);
  Flight* Find(uint64_t id) const;
  void Finish(uint64_t id, const Outcome& outcome);
  void Offer(uint64_t id, const Outcome& outcome);

  const Options options_;
  const std::shared_ptr<SingleFlight*> self_;
  uint64_t last_id_ = 0;
  size_t waiters_ = 0;
  absl::flat_hash_map<uint64_t, std::unique_ptr<Flight>> flights_;
  StringMap<Flight*, std::string_view> current_;  // views of their keys
};

}  // namespace lab::cacheapi
