#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/model/value.h"
#include "services/cacheapi/shared/entry.h"
#include "services/runtime/async/alive.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

class StoreClock;

// The cache that all replicas share (L2, Redis). On the loop's thread; callbacks as those of redis::Client, whose
// errors they pass on. What cannot be read (torn, foreign, under a wrong key, of a wrong type) is a miss, and counted:
//   cacheapi_shared_reads_total{outcome=hit|stale|miss|unreadable|error}
//   cacheapi_shared_unreadable_total{why=foreign|truncated|corrupt|invalid|wrong_key|wrong_type}
//   cacheapi_shared_stores_total{outcome=stored|refused|error}      refused: the lease was lost, or a newer version is
//   there
//
// What each way to write closes (the races are those of the README):
//   Set            nothing: who comes last wins
//   SetWithLease   1, 2, 6, 7, 8, 12: only who holds the lease stores, and every Delete takes the lease away
//   SetIfNewer     3, 9, 16, 18: a version that is there, or whose tombstone is, is never replaced by an older one
//   Raise          of a number that only grows: 1, 3, 8, 16 (version_keys.h)
class SharedCache {
 public:
  struct Options {
    Nanos ttl = std::chrono::seconds(60);          // fresh for so long …
    Nanos stale = Nanos(0);                        // … and then kept for so long, to be served stale
    Nanos negative_ttl = std::chrono::seconds(5);  // of "there is none"
    double jitter = 0;                      // of both lifetimes, 0 … 1: each is shorter by a random share up to it
    Nanos lease = std::chrono::seconds(3);  // longer than the longest fill
    Nanos tombstone = std::chrono::seconds(10);  // longer than the longest fill
  };
  // Which of a token's holders may store: drawn at random, so that no two are the same.
  using Token = std::string;

  struct Found {
    enum class State : uint8_t { kFresh, kStale, kMiss } state = State::kMiss;
    Value value;  // of kFresh and kStale
    Token token;  // of GetOrLease: the duty to fill; "" when somebody else has it, or none is needed
  };

  SharedCache(redis::Client& redis, const StoreClock& clock, Options options, obs::Metrics& metrics, uint64_t seed);

  using GetDone = absl::AnyInvocable<void(absl::StatusOr<Found>)>;
  void Get(const std::string& key, GetDone done);
  // The same; where it is not fresh, the first who asks gets the lease, for `lease` at most, on the server's clock.
  // `early`: also where it is fresh, to refresh it before its time. One GET where it is fresh and not early; else a
  // script looks again and gives the lease, in one piece. When the answer is not heard the lease may have been given:
  // it is given back, so that nobody waits for the end of a lease whose holder does not know of it; where Redis cannot
  // be told, as soon as it answers anything again. (Where `redis.connections` is above 1 that may overtake the asking.)
  void GetOrLease(const std::string& key, bool early, GetDone done);

  // Whether it was stored.
  using StoreDone = absl::AnyInvocable<void(absl::StatusOr<bool>)>;
  void Set(const std::string& key, const Value& value, StoreDone done);
  void SetWithLease(const std::string& key, const Token& token, const Value& value, StoreDone done);
  void SetIfNewer(const std::string& key, const Value& value, StoreDone done);
  // Replaces an older version that is there, and ends the lease in any case; where there is none it stays so.
  void Raise(const std::string& key, const Value& value, StoreDone done);
  // Gives the lease back without a value, so that the next one need not wait for its end: a load has failed.
  void GiveUp(const std::string& key, const Token& token);

  using Done = absl::AnyInvocable<void(absl::Status)>;
  // Of one brand (they lie on one shard): the entries and their leases.
  void Delete(const std::vector<std::string>& keys, Done done);
  // Instead of the entries: what says that nothing older than `version` may be stored, for `tombstone`.
  void Bury(const std::vector<std::string>& keys, uint64_t version, Done done);

  // For who must know its own stores again when Redis tells of them (tracking.h). Called before each store is sent,
  // with the head of its bytes, which no other store shares but one of the same value at the same millisecond.
  void OnStore(std::function<void(const std::string& key, std::string_view head)> hook) { on_store_ = std::move(hook); }
  // Whether what is there now begins with `head`.
  void Holds(const std::string& key, std::string head, StoreDone done);

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    std::array<obs::Counter*, 5> reads;       // by outcome
    std::array<obs::Counter*, 6> unreadable;  // by EntryError; the last one: a wrong type
    obs::Counter &stored, &refused, &failed;
  };
  enum Outcome : size_t { kHit, kStaleHit, kMissed, kUnreadable, kFailed };

  // What was read, not counted yet.
  struct Look {
    Found found;
    Outcome outcome = kMissed;
    EntryError error = EntryError::kNone;  // of kUnreadable; kNone: of a wrong type
  };
  Look LookAt(const std::string& key, const redis::Reply& reply, Clock::time_point now) const;
  Found Count(Look look);
  absl::StatusOr<Found> ReadOrMiss(const std::string& key, const absl::StatusOr<redis::Reply>& reply);
  void Lease(const std::string& key, bool early, GetDone done);
  std::string Encode(const std::string& key, const Value& value, Nanos& kept);
  void Store(const redis::Script& script, const std::string& key, std::string_view condition, const Value& value,
             StoreDone done);
  // A lease that may stand though nobody here knows of it, until then at most.
  struct Unheard {
    std::string key;
    Token token;
    Clock::time_point until;
  };
  void GiveUpIfUnknown(const std::string& key, const Token& token, const absl::Status& status);
  void GiveBack(Unheard lease);
  void GiveBackUnheard();
  void OnAll(const redis::Script& script, const std::vector<std::string>& keys,
             const std::vector<std::string>& arguments, Done done);

  redis::Client& redis_;
  const StoreClock& clock_;
  const Options options_;
  Metrics metrics_;
  Random random_;
  std::function<void(const std::string& key, std::string_view head)> on_store_;
  std::deque<Unheard> unheard_;  // Redis could not be told so far; the oldest first
  const redis::Script lease_, set_with_lease_, set_if_newer_, give_up_, delete_, bury_, raise_;
  const async::Alive alive_;  // last
};

// What the keys of entries begin with, and of nothing else: whoever watches entries watches this.
inline constexpr std::string_view kEntryPrefix = "insights:";
inline constexpr std::string_view kLeasePrefix = "lease:";
// "insights:{acme}:w=24h" → "lease:insights:{acme}:w=24h": on the same shard, and no change under kEntryPrefix.
std::string LeaseKey(std::string_view key);

}  // namespace lab::cacheapi
