#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/local/local_cache.h"
#include "services/cacheapi/model/version.h"
#include "services/cacheapi/shared/shared_cache.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Versioned keys: the version of a brand stands in a small key of its own in Redis, and its insights under keys that
// name their version ("insights:{acme}:w=24h:v=12"). A reader asks for the version first and then for the entry of just
// that one. Nothing is ever invalidated: who writes raises the version, and the entries of old ones expire.
//
// An entry under such a key is right for ever, so it needs no lease and no fence, whoever stores it and when: races 1,
// 3, 9, 13 and 20 have nothing to happen to, 8 and 16 only the version key. That one is
// - filled by who holds its lease, taken before the database is read; every Raise ends the lease (1, 8, 12);
// - raised only where it is there, and never lowered: late, repeated and reordered raises do no harm (3, 8, 16).
// Open stay: a writer that dies before it has raised the version (4), until the key expires (l2.ttl), somebody else
// raises it, or anybody loads a newer version; and what a failover of Redis forgets (22), for as long.
//
// The price is a round trip more a read, or the staleness of the memo: for `memo` this process goes by the version it
// has seen last, its own writes excepted, after which it asks. Beside it, memory: entries of old versions stay until
// they expire. While Redis is away nothing is found by its brand but what this process has seen last (`keep`). On the
// loop's thread.
//   cacheapi_version_reads_total{outcome=memo|hit|miss|error}
class VersionKeys {
 public:
  struct Options {
    Nanos memo{0};
    Nanos keep{0};  // for how much longer the version seen last is known, for when nobody can be asked
    size_t memo_bytes = 4 << 20;
  };
  struct Found {
    std::optional<uint64_t> version;  // none: the database must be asked
    SharedCache::Token token;         // then, the duty to say what it said (Fill, GiveUp); "": somebody else has it
  };

  VersionKeys(SharedCache& shared, const Options& options, obs::Metrics& metrics);
  ~VersionKeys();

  // What this process goes by, without asking.
  std::optional<uint64_t> Memo(std::string_view brand, Clock::time_point now);
  // What it last went by or was told, however old: for what is stale.
  std::optional<uint64_t> LastSeen(std::string_view brand, Clock::time_point now);
  void Ask(std::string_view brand, absl::AnyInvocable<void(absl::StatusOr<Found>)> done);
  // The database was read since Begin, and had this version: this process goes by it.
  FillToken Begin(std::string_view brand) const { return memo_.Begin(brand); }
  void Saw(const FillToken& begun, uint64_t version) { Remember(begun, version, options_.memo); }

  // The database was read with the token in hand and had this version; 0: there is no such brand.
  void Fill(std::string_view brand, const SharedCache::Token& token, uint64_t version);
  void GiveUp(std::string_view brand, const SharedCache::Token& token);

  // A write of `version` has been committed; with kVersionUnknown the version is forgotten. Safe to repeat.
  void Raise(std::string_view brand, uint64_t version, absl::AnyInvocable<void(absl::Status)> done);
  // The same for this process' memo: it asks for the version again. (It does not go by this one, which may be an old
  // one that is told late or again.)
  void Committed(std::string_view brand, uint64_t version);
  void ForgetAll() { memo_.Clear(); }

 private:
  void Remember(const FillToken& token, uint64_t version, Nanos memo);

  SharedCache& shared_;
  const Options options_;
  LocalCache memo_;  // by brand: bounded, and fenced against answers that are older than a write
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &memo, &hit, &miss, &failed;
  } metrics_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

inline constexpr std::string_view kVersionPrefix = "version:{";
// "version:{acme}": on the shard of the brand's entries.
std::string VersionKey(std::string_view brand);
// "insights:{acme}:w=24h" → "insights:{acme}:w=24h:v=12"
std::string VersionedKey(std::string_view key, uint64_t version);

}  // namespace lab::cacheapi
