#include "services/cacheapi/shared/shared_cache.h"

#include <algorithm>
#include <utility>

#include "services/cacheapi/shared/scripts.h"
#include "services/cacheapi/shared/store_clock.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

std::string Milliseconds(Nanos duration) {
  return std::to_string(std::max<int64_t>(1, std::chrono::duration_cast<Millis>(duration).count()));
}

obs::Counter* Counted(obs::Metrics& metrics, const char* name, const char* help, const char* label, const char* value) {
  return &metrics.AddCounter(name, help, {{label, value}});
}

// "LT" 1, u64 version, little-endian (lua/entry.lua).
constexpr std::string_view kTombstoneHead("LT\1", 3);

// Leases to be given back: the oldest beyond these stand until their end. With each answer so many are.
constexpr size_t kMostUnheard = 4096, kUnheardAtOnce = 16;

// Who is to fill, as lua/lease.lua says it; 2: somebody else.
constexpr int64_t kNobody = 0, kCaller = 1;

std::string EncodeTombstone(uint64_t version) {
  std::string bytes(kTombstoneHead);
  for (int shift = 0; shift < 64; shift += 8) bytes += static_cast<char>(version >> shift);
  return bytes;
}

bool IsTombstone(std::string_view bytes) { return bytes.substr(0, kTombstoneHead.size()) == kTombstoneHead; }

bool IsWrongType(const absl::Status& status) { return status.message().find("WRONGTYPE") != std::string::npos; }

}  // namespace

std::string LeaseKey(std::string_view key) { return Concat(kLeasePrefix, key); }

SharedCache::Metrics::Metrics(obs::Metrics& m)
    : stored(*Counted(m, "cacheapi_shared_stores_total", "Stores in Redis by how they ended", "outcome", "stored")),
      refused(*Counted(m, "cacheapi_shared_stores_total", "", "outcome", "refused")),
      failed(*Counted(m, "cacheapi_shared_stores_total", "", "outcome", "error")) {
  constexpr const char* kOutcomes[] = {"hit", "stale", "miss", "unreadable", "error"};
  for (size_t i = 0; i < reads.size(); ++i) {
    reads[i] = Counted(m, "cacheapi_shared_reads_total", "Reads of Redis by what was there", "outcome", kOutcomes[i]);
  }
  constexpr const char* kWhys[] = {"foreign", "truncated", "corrupt", "invalid", "wrong_key", "wrong_type"};
  for (size_t i = 0; i < unreadable.size(); ++i) {
    unreadable[i] = Counted(m, "cacheapi_shared_unreadable_total", "Entries in Redis that were none", "why", kWhys[i]);
  }
}

SharedCache::SharedCache(redis::Client& redis, const StoreClock& clock, Options options, obs::Metrics& metrics,
                         uint64_t seed)
    : redis_(redis),
      clock_(clock),
      options_(options),
      metrics_(metrics),
      random_(seed),
      lease_(kLeaseScript, "lease"),
      set_with_lease_(kSetWithLeaseScript, "set_with_lease"),
      set_if_newer_(kSetIfNewerScript, "set_if_newer"),
      give_up_(kGiveUpScript, "give_up"),
      delete_(kDeleteScript, "delete"),
      bury_(kBuryScript, "bury"),
      raise_(kRaiseScript, "raise") {}

// ---- reading ----

SharedCache::Look SharedCache::LookAt(const std::string& key, const redis::Reply& reply, Clock::time_point now) const {
  Look look;
  if (reply.is_nil() || IsTombstone(reply.text())) return look;
  Entry entry;
  look.error = DecodeEntry(reply.text(), key, entry);
  if (look.error != EntryError::kNone) {
    look.outcome = kUnreadable;
    return look;
  }
  const UnixMillis unix_now = clock_.At(now);
  const Freshness freshness = FreshnessOf(entry, unix_now);
  if (freshness == Freshness::kOver) return look;
  const bool fresh = freshness == Freshness::kFresh;
  look.outcome = fresh ? kHit : kStaleHit;
  Found& found = look.found;
  found.state = fresh ? Found::State::kFresh : Found::State::kStale;
  found.value.body = std::string(entry.body);
  found.value.version = entry.version;
  found.value.written_at = now - Millis(std::max<int64_t>(0, unix_now - entry.written_at));
  found.value.fresh_until = now + Millis(entry.fresh_until - unix_now);
  if (!fresh) found.value.fresh_until = std::min(found.value.fresh_until, now);
  found.value.expiry = now + Millis(entry.stale_until - unix_now);
  found.value.delta = entry.delta;
  found.value.negative = entry.kind == Entry::Kind::kNegative;
  return look;
}

SharedCache::Found SharedCache::Count(Look look) {
  metrics_.reads[look.outcome]->Increment();
  if (look.outcome == kUnreadable) {
    const bool wrong_type = look.error == EntryError::kNone;
    (wrong_type ? metrics_.unreadable.back() : metrics_.unreadable[static_cast<size_t>(look.error) - 1])->Increment();
  }
  return std::move(look.found);
}

absl::StatusOr<SharedCache::Found> SharedCache::ReadOrMiss(const std::string& key,
                                                           const absl::StatusOr<redis::Reply>& reply) {
  if (reply.ok()) return Count(LookAt(key, *reply, Clock::now()));
  if (IsWrongType(reply.status())) return Count({.outcome = kUnreadable});
  metrics_.reads[kFailed]->Increment();
  return reply.status();
}

void SharedCache::Get(const std::string& key, GetDone done) {
  const std::array<std::string_view, 2> get = {"GET", key};
  redis_.Command(get, [this, key, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
    done(ReadOrMiss(key, reply));
  });
}

void SharedCache::GetOrLease(const std::string& key, bool early, GetDone done) {
  if (early) return Lease(key, early, std::move(done));
  const std::array<std::string_view, 2> get = {"GET", key};
  redis_.Command(get, [this, key, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
    if (!reply.ok()) {
      return IsWrongType(reply.status()) ? Lease(key, false, std::move(done)) : done(ReadOrMiss(key, reply));
    }
    GiveBackUnheard();
    Look look = LookAt(key, *reply, Clock::now());
    look.outcome == kHit ? done(Count(std::move(look))) : Lease(key, false, std::move(done));
  });
}

void SharedCache::Lease(const std::string& key, bool early, GetDone done) {
  Token token = Concat(random_.Next(), "-", random_.Next());
  const std::string lease = LeaseKey(key);
  const std::string length = Milliseconds(options_.lease);
  const std::array<std::string_view, 2> keys = {key, lease};
  const std::array<std::string_view, 3> arguments = {token, length, early ? "1" : "0"};
  redis_.Eval(
      lease_, keys, arguments,
      [this, key, early, token = std::move(token), done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
        if (reply.ok() && reply->size() != 3) return done(absl::InternalError("not a reply of the lease script"));
        if (!reply.ok()) {
          GiveUpIfUnknown(key, token, reply.status());
          return done(ReadOrMiss(key, reply));
        }
        GiveBackUnheard();
        const bool wrong_type = (*reply)[2].integer() == 1;
        Found found = Count(wrong_type ? Look{.outcome = kUnreadable} : LookAt(key, (*reply)[0], Clock::now()));
        const int64_t filler = (*reply)[1].integer();
        // By its times alone the script takes for fresh what is torn, and what was written before the clock went
        // back. Nobody would fill it: so the lease is asked for as if it were to be early.
        if (filler == kNobody && found.state != Found::State::kFresh && !early) {
          return Lease(key, true, std::move(done));
        }
        if (filler == kCaller) found.token = std::move(token);
        done(std::move(found));
      });
}

// ---- writing ----

// Lifetimes are of the server's clock, which the server counts itself (PX): only what is fresh we compare.
std::string SharedCache::Encode(const std::string& key, const Value& value, Nanos& kept) {
  const double shorter = 1 - options_.jitter * random_.Uniform();
  const auto jittered = [shorter](Nanos length) {
    return Nanos(static_cast<int64_t>(static_cast<double>(length.count()) * shorter));
  };
  const Nanos fresh = jittered(value.negative ? options_.negative_ttl : options_.ttl);
  kept = fresh + (value.negative ? Nanos(0) : options_.stale);
  Entry entry;
  entry.version = value.version;
  entry.written_at = clock_.At(Clock::now());
  entry.fresh_until = entry.written_at + std::chrono::duration_cast<Millis>(fresh).count();
  entry.stale_until = entry.written_at + std::chrono::duration_cast<Millis>(kept).count();
  entry.delta = std::chrono::duration_cast<Micros>(value.delta);
  entry.kind = value.negative ? Entry::Kind::kNegative : Entry::Kind::kValue;
  entry.key = key;
  entry.body = value.body;
  return EncodeEntry(entry);
}

void SharedCache::Set(const std::string& key, const Value& value, StoreDone done) {
  Nanos kept{};
  const std::string bytes = Encode(key, value, kept);
  const std::string length = Milliseconds(kept);
  const std::array<std::string_view, 5> set = {"SET", key, bytes, "PX", length};
  if (on_store_) on_store_(key, std::string_view(bytes).substr(0, kEntryHeaderBytes));
  redis_.Command(set, [this, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
    (reply.ok() ? metrics_.stored : metrics_.failed).Increment();
    reply.ok() ? done(true) : done(reply.status());
  });
}

void SharedCache::Store(const redis::Script& script, const std::string& key, std::string_view condition,
                        const Value& value, StoreDone done) {
  Nanos kept{};
  const std::string bytes = Encode(key, value, kept);
  const std::string length = Milliseconds(kept), lease = LeaseKey(key);
  const std::array<std::string_view, 2> keys = {key, lease};
  const std::array<std::string_view, 3> arguments = {condition, bytes, length};
  if (on_store_) on_store_(key, std::string_view(bytes).substr(0, kEntryHeaderBytes));
  redis_.Eval(script, keys, arguments, [this, done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
    if (!reply.ok()) {
      metrics_.failed.Increment();
      return done(reply.status());
    }
    const bool stored = reply->integer() == 1;
    (stored ? metrics_.stored : metrics_.refused).Increment();
    done(stored);
  });
}

void SharedCache::SetWithLease(const std::string& key, const Token& token, const Value& value, StoreDone done) {
  Store(set_with_lease_, key, token, value,
        [this, key, token, done = std::move(done)](absl::StatusOr<bool> stored) mutable {
          if (!stored.ok()) GiveUpIfUnknown(key, token, stored.status());
          done(std::move(stored));
        });
}

void SharedCache::SetIfNewer(const std::string& key, const Value& value, StoreDone done) {
  Store(set_if_newer_, key, std::to_string(value.version), value, std::move(done));
}

void SharedCache::Raise(const std::string& key, const Value& value, StoreDone done) {
  Store(raise_, key, std::to_string(value.version), value, std::move(done));
}

void SharedCache::Holds(const std::string& key, std::string head, StoreDone done) {
  static const std::string last = std::to_string(kEntryHeaderBytes - 1);
  const std::array<std::string_view, 4> part = {"GETRANGE", key, "0", last};
  redis_.Command(part, [head = std::move(head), done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable {
    reply.ok() ? done(reply->text() == head) : done(reply.status());
  });
}

void SharedCache::GiveUp(const std::string& key, const Token& token) {
  GiveBack({key, token, Clock::now() + options_.lease});
}

void SharedCache::GiveUpIfUnknown(const std::string& key, const Token& token, const absl::Status& status) {
  if (redis::OutcomeUnknown(status)) GiveUp(key, token);
}

void SharedCache::GiveBack(Unheard lease) {
  const std::string lease_key = LeaseKey(lease.key);
  const std::array<std::string_view, 1> keys = {lease_key};
  const std::array<std::string_view, 1> arguments = {lease.token};
  auto told = [this, lease](const absl::StatusOr<redis::Reply>& reply) mutable {
    if (reply.ok()) return;
    if (unheard_.size() == kMostUnheard) unheard_.pop_front();
    unheard_.push_back(std::move(lease));
  };
  redis_.Eval(give_up_, keys, arguments, alive_.Guard(std::move(told)));
}

void SharedCache::GiveBackUnheard() {
  if (unheard_.empty()) return;
  const Clock::time_point now = Clock::now();
  for (size_t left = std::min(kUnheardAtOnce, unheard_.size()); left > 0; --left) {
    Unheard lease = std::move(unheard_.front());
    unheard_.pop_front();
    if (lease.until > now) GiveBack(std::move(lease));
  }
}

void SharedCache::OnAll(const redis::Script& script, const std::vector<std::string>& keys,
                        const std::vector<std::string>& arguments, Done done) {
  std::vector<std::string> leases;
  leases.reserve(keys.size());
  for (const std::string& key : keys) leases.push_back(LeaseKey(key));
  std::vector<std::string_view> all(keys.begin(), keys.end());
  all.insert(all.end(), leases.begin(), leases.end());
  const std::vector<std::string_view> given(arguments.begin(), arguments.end());
  redis_.Eval(script, all, given,
              [done = std::move(done)](absl::StatusOr<redis::Reply> reply) mutable { done(reply.status()); });
}

void SharedCache::Delete(const std::vector<std::string>& keys, Done done) { OnAll(delete_, keys, {}, std::move(done)); }

void SharedCache::Bury(const std::vector<std::string>& keys, uint64_t version, Done done) {
  OnAll(bury_, keys, {EncodeTombstone(version), std::to_string(version), Milliseconds(options_.tombstone)},
        std::move(done));
}

}  // namespace lab::cacheapi
