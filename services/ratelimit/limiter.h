#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "services/ratelimit/fallback.h"
#include "services/ratelimit/lease_table.h"
#include "services/ratelimit/memory_store.h"
#include "services/ratelimit/metrics.h"
#include "services/ratelimit/pending.h"
#include "services/ratelimit/resolve.h"
#include "services/ratelimit/rules.h"
#include "services/ratelimit/store.h"
#include "services/runtime/base/hot_keys.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/log.h"

namespace lab::ratelimit {

// Joins rules, stores and metrics. What is asked in one turn of the loop leaves in few store calls: equal requests
// (same keys, limits and hits) share one entry and are granted in arrival order, and up to max_batch entries go in one
// atomic call. Where the store fails, each rule's policy decides, at once. A request whose one limit is leased is
// decided here, without a store call; when the lease does not know, it waits for the next, with all that come
// meanwhile: for two store calls at most, three around the edge of a window. Single-threaded.
class Limiter {
 public:
  struct Options {
    bool coalesce = true;
    int max_batch = 64;                                      // entries a store call
    int max_in_flight = 2;                                   // store calls, before more wait for an answer
    int replicas = 1;                                        // local shares of overrides
    FailurePolicy on_store_failure = FailurePolicy::kAllow;  // of overrides that no rule matches
    size_t max_leased_keys = 100'000;
  };

  // `store` answers; `local` is what FailurePolicy::kLocal decides with.
  Limiter(Options options, Store& store, MemoryStore& local, Metrics& metrics);
  ~Limiter();

  // Replaces the rules; requests that are on their way keep theirs.
  void SetRules(std::shared_ptr<const RuleSet> rules);
  const RuleSet& rules() const { return *rules_; }

  // Decides `question`, whose views are not needed after the call: Decided of `pending` runs exactly once, inside this
  // call when no limit applies, else from Flush or later. An error (an override that no limit can be made of) means
  // that it will not run.
  absl::Status Decide(const Question& question, Pending& pending, Clock::time_point now);
  // Sends what has gathered; at the end of every turn. It waits where waiting makes calls larger, because half the cost
  // of a request is its share of a call: for an answer, while max_in_flight calls are on their way, kHold at most; and
  // for the others, where many were undecided at once just now (closed loops, bursts), kGather at most. Returns how
  // much longer it waits at most, if it does.
  std::optional<Nanos> Flush(Clock::time_point now);
  static constexpr Nanos kHold = Micros(500);
  static constexpr Nanos kGather = Micros(100);

  const HotKeys& hot_keys() const { return hot_keys_; }
  static constexpr uint64_t kHotKeySample = 16;  // one request in so many is counted

 private:
  struct Flight;  // a batch with the requests that wait for it
  struct Place {
    uint64_t hash = 0;
    uint64_t turn = 0;
    Flight* flight = nullptr;
    uint32_t group = 0;
  };

  void Enqueue(Pending& pending);
  bool SameGroup(const Pending& pending, const Flight& flight, uint32_t group) const;
  Place& FindPlace(const Pending& pending, uint64_t hash);
  Flight& OpenFlight(size_t terms);
  std::optional<Nanos> Wait(Clock::time_point now) const;

  bool DecideByLease(Pending& pending);
  bool TryLease(LeasedKey& leased, Pending& pending, Clock::time_point at, Clock::time_point now);
  void WaitForLease(LeasedKey& leased, Pending& pending);
  void AskForLease(LeasedKey& leased);
  static void SizeLeases(Flight& flight);
  void AnswerLease(Flight& flight, size_t group);
  void LeaseAnswered(LeasedKey& leased);

  void Complete(Flight& flight, const absl::Status& status);
  void Answer(Flight& flight);
  void AnswerGroup(Flight& flight, size_t group);
  void AnswerByPolicy(Flight& flight);
  void Finish(Pending& pending, Clock::time_point now, bool shadowed);

  const Options options_;
  Store& store_;
  Metrics& metrics_;
  std::shared_ptr<const RuleSet> rules_;
  uint64_t rules_number_ = 1;  // leases of older rules are worth nothing
  LeaseTable leases_;
  HotKeys hot_keys_{64};
  Random random_{1};
  Resolver resolver_;
  Fallback fallback_;
  obs::LogLimit failure_log_{std::chrono::seconds(1)};

  std::vector<Place> places_;  // open addressing; a place of an earlier turn is free
  uint64_t turn_ = 1;
  size_t placed_ = 0;
  size_t in_store_ = 0;        // flights that the store has not answered
  size_t undecided_ = 0;       // requests in them and in open_
  size_t gathered_ = 0;        // requests in open_
  double crowd_ = 0;           // the most that were lately undecided at once
  Clock::time_point since_;    // when the first of open_ came
  Clock::time_point sent_;     // when the last flight left
  std::vector<Flight*> open_;  // of this turn
  std::vector<Flight*> idle_;
  std::vector<std::unique_ptr<Flight>> flights_;
};

}  // namespace lab::ratelimit
