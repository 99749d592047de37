#pragma once

#include <cstdint>

#include "services/ratelimit/decide.h"
#include "services/ratelimit/fixed_window.h"
#include "services/ratelimit/limit.h"
#include "services/runtime/base/time.h"

namespace lab::ratelimit {

// How a rule is leased: so many hits at a time, for so long.
struct LeaseTerms {
  uint32_t hits = 0;  // N; 0: not leased
  Nanos ttl{0};       // how long a replica decides without hearing from the store; 0: until the window ends

  friend bool operator==(const LeaseTerms&, const LeaseTerms&) = default;
};

// What one replica holds of the current window of one key: hits that the store has charged already, and that the
// replica may admit without asking. No clock, no I/O, no lock. All-zero: nothing is held, nothing is known.
//
// What it guarantees, with L the limit, N the hits of a lease, R the replicas:
// - What is admitted in a window of the store's clock was charged to that window before, so it is at most L. The lease
//   ends where the window can end at the earliest: the store's time to the edge, counted from when the question *left*,
//   on this process' steady clock. Replicas need no common clock. Where the store's clock itself jumps ahead, what is
//   held at that moment is used in the window after: at most L + R × N there.
// - After an answer a replica holds less than N beyond what waits for it. What a window leaves unused is at most R × N.
// Prior art: bucket4j's maxUnsynchronizedTokens, which reports afterwards and so admits N × R too much instead.
class Lease {
 public:
  enum class Verdict : uint8_t { kPass, kDeny, kAsk };

  // Decides a request of `hits` and takes them when it passes. kDeny: the store had nothing left when last asked, and a
  // window only fills. kAsk: nothing is known for certain here; ask the store. 0 hits look: what one hit would get.
  Verdict Decide(uint64_t hits, Clock::time_point now);

  // How many hits to ask the store for, so that `waiting` hits can be decided and less than N (N, when nothing waits)
  // is held after them. 0: only the state is wanted (the lease has ended by its ttl, and is still full).
  uint32_t Missing(const LeaseTerms& terms, uint64_t waiting, Clock::time_point now) const;

  // The store's answer to a question for `asked` single hits that left at `sent`: the state from before it and the
  // store's time. The store grants as many of them as there is room for.
  void Granted(const Limit& limit, const LeaseTerms& terms, FixedWindow before, UnixMicros store_now, uint32_t asked,
               Clock::time_point sent);

  // What a request that was just decided is told. `remaining` is what is held and what the store had left when last
  // asked: other replicas may have taken of it since.
  TermResult Describe(const Limit& limit, uint64_t hits, bool passed, Clock::time_point now) const;

  // Worth nothing from then on.
  Clock::time_point ends() const { return ends_; }
  uint64_t held(Clock::time_point now) const { return now < ends_ ? held_ : 0; }

 private:
  int64_t window_ = 0;
  uint64_t held_ = 0;
  uint64_t left_ = 0;         // in the store, when last asked
  Clock::time_point ends_{};  // the window's edge, at the earliest
  Clock::time_point asks_{};  // from then on the store is asked: ends_, or sooner by the ttl
};

inline constexpr uint32_t kMaxLease = 100'000;

}  // namespace lab::ratelimit
