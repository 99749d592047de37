#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/local_cache.h"
#include "services/cacheapi/origin.h"
#include "services/cacheapi/shared_cache.h"
#include "services/cacheapi/single_flight.h"
#include "services/cacheapi/step_gate.h"
#include "services/cacheapi/value.h"
#include "services/cacheapi/window.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// How an answer came about.
enum class Via : uint8_t { kLocal, kShared, kStale, kOrigin, kCoalesced, kError };
std::string_view Name(Via via);  // "l1", "l2", "stale", "origin", "coalesced", "error"

struct Answer {
  absl::Status status;  // of kError
  Via via = Via::kError;
  Value value;
};

// The way of a read: L1, then one load a key and process, then L2, then the database; and back. What each part does the
// options say, so that every pattern is this one path with something left out.
//
// Safe against every write that Invalidate is told of, before anything is stored again: the token of L1 and the flight
// are taken before the first read (fences.h, single_flight.h), the lease of L2 before the database is asked.
//   cacheapi_answers_total{via}            answers by how they came about
//   cacheapi_fills_total{outcome=stored|refused|error}, cacheapi_lease_waits_total, cacheapi_refreshes_total{why}
class Reader {
 public:
  struct Options {
    bool local = true, shared = true;     // L1, L2
    bool single_flight = true, lease = true;
    bool newer_only = false;              // L2 takes no older version (SharedCache::SetIfNewer); without `lease`
    bool early = false;                   // XFetch
    double beta = 1;
    bool negative = true;                 // "there is none" is kept
    bool stale_while_revalidate = false;  // what is stale is served, and refreshed beside
    bool stale_if_error = false;          // what is stale is served when the database does not answer
    Nanos local_ttl = std::chrono::seconds(5);     // bound on what L1 keeps: of invalidations that are lost
    Nanos local_stale = std::chrono::seconds(60);  // and for how much longer, to be served stale
    Nanos lease_poll = Millis(2);                  // first wait for who has the lease; doubles up to ten times this
    bool window_in_key = true;         // false is broken on purpose: windows read each other's answer
    bool cancel_with_request = false;  // broken on purpose: a load whose requests have all gone stores nothing
  };
  struct Parts {
    async::Loop& loop;
    LocalCache& local;
    SharedCache* shared;  // null without L2
    Origin& origin;
    SingleFlight& flights;
    StepGate* gate;  // null: no steps
  };
  using Done = absl::AnyInvocable<void(Answer)>;

  Reader(Parts parts, Options options, obs::Metrics& metrics, uint64_t seed);
  ~Reader();

  struct Query {
    std::string_view brand;
    Window window = kDefaultWindow;
    Clock::time_point deadline{};
    std::string_view actor;  // for the gate; "" is never held
  };
  // Ends once, at the deadline at the latest (DEADLINE_EXCEEDED); the load goes on for others.
  void Get(const Query& query, Done done);
  // A write of `version` to this brand has been committed: nothing that was read before is given or kept from now on.
  void Invalidate(std::string_view brand, uint64_t version);
  // The same of one key: what L2 holds under it has changed, and nothing up to `version` may stay.
  void InvalidateKey(std::string_view key, uint64_t version = LocalCache::kAnyVersion);
  // Invalidations may have been lost.
  void ForgetAll();
  // From now on L1 follows L2 (tracking.h): it is told of every change there, so it may hold nothing that is not there,
  // because a delete of what is not there is told to nobody. While `told` is false it is neither read nor filled.
  // Forgets all.
  void FollowShared(bool told);
  // While it follows, what L1 has may be given until then.
  void TrustLocalUntil(Clock::time_point until) { local_until_ = until; }

 private:
  struct Request;
  struct Load;
  struct Metrics;
  using LoadPtr = std::shared_ptr<Load>;  // shared by the callbacks of its steps

  std::string KeyOf(std::string_view brand, Window window) const;
  bool AnswerLocally(const Query& query, const std::string& key, Clock::time_point now, Done& done);
  void Join(const Query& query, const std::string& key, bool refresh, Done done);
  void Begin(LoadPtr load);
  void AskShared(LoadPtr load);
  void TakeShared(LoadPtr load, absl::StatusOr<SharedCache::Found> found);
  void WaitForLease(LoadPtr load);
  void AskOrigin(LoadPtr load);
  void TakeOrigin(LoadPtr load, absl::StatusOr<Insight> insight);
  void Keep(LoadPtr load, Value value);
  void KeepLocal(Load& load, const Value& value);
  void End(Load& load, SingleFlight::Outcome outcome, Via via);
  enum Why : size_t { kStaleOne, kEarlyOne };
  void Refresh(const Query& query, const std::string& key, Why why);
  bool Early(const Value& value, Clock::time_point now);
  void At(Step step, const Load& load, absl::AnyInvocable<void()> then);
  bool LocalOn() const { return options_.local && local_use_ != LocalUse::kOff; }

  const Parts parts_;
  const Options options_;
  enum class LocalUse : uint8_t { kAlone, kFollows, kOff } local_use_ = LocalUse::kAlone;
  Clock::time_point local_until_{};  // of kFollows
  std::unique_ptr<Metrics> metrics_;
  Random random_;
  std::unordered_set<std::shared_ptr<Request>> requests_;  // that wait; shared with the handlers of their timers
  std::shared_ptr<bool> alive_;                            // shared with callbacks in flight
};

}  // namespace lab::cacheapi
