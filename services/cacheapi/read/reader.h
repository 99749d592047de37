#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/local/local_cache.h"
#include "services/cacheapi/local/single_flight.h"
#include "services/cacheapi/model/value.h"
#include "services/cacheapi/model/version.h"
#include "services/cacheapi/model/window.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

class BrandFilter;
class HotCopies;
class OriginQueue;
class Shadow;
class VersionKeys;
class WantedKeys;

// How an answer came about.
enum class Via : uint8_t { kLocal, kShared, kStale, kOrigin, kCoalesced, kError, kBloom };
std::string_view Name(Via via);  // "l1", "l2", "stale", "origin", "coalesced", "error", "bloom"

struct Answer {
  absl::Status status;  // of kError
  Via via = Via::kError;
  Value value;
};

// The way of a read: L1, then one load a key and process, then L2, then the database; and back. What each part does the
// options say, so that every pattern is this one path with something left out.
//
// Safe against every write that Invalidate is told of, before anything is stored again: the token of L1 and the flight
// are taken before the first read (fences.h, single_flight.h), the lease of L2 before the database is asked. What is
// stale, or refreshed before its time, is given to all who come while one loads, until such a write.
//   cacheapi_answers_total{via}            answers by how they came about
//   cacheapi_fills_total{outcome=stored|refused|error}, cacheapi_lease_waits_total, cacheapi_refreshes_total{why}
class Reader {
 public:
  struct Options {
    bool local = true, shared = true;  // L1, L2
    bool single_flight = true, lease = true;
    bool newer_only = false;  // L2 takes no older version (SharedCache::SetIfNewer); without `lease`
    bool early = false;       // XFetch
    double beta = 1;
    bool negative = true;                 // "there is none" is kept
    bool stale_while_revalidate = false;  // what is stale is served, and refreshed beside
    bool stale_if_error = false;          // what is stale is served when the database does not answer, or not in time
    Nanos local_ttl = std::chrono::seconds(5);     // bound on what L1 keeps: of invalidations that are lost
    Nanos local_stale = std::chrono::seconds(60);  // and for how much longer, to be served stale
    Nanos lease_poll = Millis(2);                  // first wait for who has the lease; doubles up to ten times this
    bool window_in_key = true;                     // false is broken on purpose: windows read each other's answer
    bool cancel_with_request = false;  // broken on purpose: a load whose requests have all gone stores nothing
  };
  // What it asks beside, each of them null when it is off.
  struct Modes {
    BrandFilter* filter = nullptr;    // denies brands that do not exist
    HotCopies* copies = nullptr;      // splits hot keys of L2
    VersionKeys* versions = nullptr;  // keys that name their version
    OriginQueue* queue = nullptr;     // in front of the origin; without it every read goes there at once
    Shadow* shadow = nullptr;         // compares hits with the database
    WantedKeys* wanted = nullptr;     // learns what is asked for, for the warm-up
  };
  struct Parts {
    async::Loop& loop;
    LocalCache& local;
    SharedCache* shared;  // null without L2
    Origin& origin;
    SingleFlight& flights;
    StepGate* gate;  // null: no steps
    Modes modes = {};
  };
  using Done = absl::AnyInvocable<void(Answer)>;

  Reader(Parts parts, Options options, obs::Metrics& metrics, uint64_t seed);
  ~Reader();

  struct Query {
    std::string_view brand;
    Window window = kDefaultWindow;
    Clock::time_point deadline{};
    std::string_view actor;  // for the gate; "" is never held
    bool beside = false;     // of nobody who waits: not counted as an answer, and not taken for a wish
  };
  // Ends once, at the deadline at the latest (DEADLINE_EXCEEDED); the load goes on for others.
  void Get(const Query& query, Done done);
  // A write of `version` to this brand has been committed: nothing that was read before is given or kept from now on.
  void Invalidate(std::string_view brand, uint64_t version);
  // The same of one key: what L2 holds under it has changed, and nothing up to `version` may stay.
  void InvalidateKey(std::string_view key, uint64_t version = kVersionUnknown);
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
  void AskFilter(const Query& query, const std::string& key, Done done);
  void Deny(const Query& query, Done done);
  std::string LocalKey(const Query& query, const std::string& key, Clock::time_point now) const;
  // What L1 may give now; null while it is out of use, or follows L2 and has not been told for too long.
  const Value* FromLocal(std::string_view key, Clock::time_point now) const;
  const Value* LastLocal(std::string_view brand, const std::string& key, Clock::time_point now) const;
  void Late(Request& request);
  void Fail(Load& load, const absl::Status& status);
  static bool Wanted(const Load& load);
  void Join(const Query& query, const std::string& key, bool refresh, Done done);
  void Begin(LoadPtr load);
  void LookInShared(LoadPtr load);
  void AskShared(LoadPtr load);
  void TakeShared(LoadPtr load, absl::StatusOr<SharedCache::Found> found);
  void UseShared(LoadPtr load, Value value);
  void AskVersion(LoadPtr load);
  void TakeVersion(LoadPtr load, uint64_t version);
  void KeepVersioned(LoadPtr load, Value value);
  void GiveUp(Load& load);
  void WaitForLease(LoadPtr load);
  void AskOrigin(LoadPtr load);
  void TakeOrigin(LoadPtr load, absl::StatusOr<Insight> insight);
  void Keep(LoadPtr load, Value value);
  void KeepLocal(Load& load, const Value& value);
  void Compare(const Load& load, const Value& value);
  void Offer(Load& load, const Value& value, Via via);
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
