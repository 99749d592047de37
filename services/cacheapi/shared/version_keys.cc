#include "services/cacheapi/shared/version_keys.h"

#include <utility>

#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

obs::Counter& Reads(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_version_reads_total", "Versions of brands that were asked for",
                            {{"outcome", outcome}});
}

// An entry without a body; "there is no such brand" lives as short as everything of its kind.
Value OfVersion(uint64_t version) {
  Value value;
  value.version = version;
  value.negative = version == 0;
  return value;
}

}  // namespace

std::string VersionKey(std::string_view brand) { return Concat(kVersionPrefix, brand, "}"); }

std::string VersionedKey(std::string_view key, uint64_t version) { return Concat(key, ":v=", version); }

VersionKeys::Metrics::Metrics(obs::Metrics& m)
    : memo(Reads(m, "memo")), hit(Reads(m, "hit")), miss(Reads(m, "miss")), failed(Reads(m, "error")) {}

VersionKeys::VersionKeys(SharedCache& shared, const Options& options, obs::Metrics& metrics)
    : shared_(shared),
      options_(options),
      memo_({.bytes = options.memo_bytes, .eviction = eviction::EvictionKind::kLru, .generations = 1 << 12}),
      metrics_(metrics),
      alive_(std::make_shared<bool>(true)) {}

VersionKeys::~VersionKeys() { *alive_ = false; }

std::optional<uint64_t> VersionKeys::Memo(std::string_view brand, Clock::time_point now) {
  if (options_.memo == Nanos(0)) return std::nullopt;
  const Value* value = memo_.Get(brand, now);
  if (value == nullptr || now >= value->fresh_until) return std::nullopt;
  metrics_.memo.Increment();
  return value->version;
}

std::optional<uint64_t> VersionKeys::LastSeen(std::string_view brand, Clock::time_point now) {
  const Value* value = memo_.Get(brand, now);
  return value == nullptr ? std::nullopt : std::optional(value->version);
}

void VersionKeys::Remember(const FillToken& token, uint64_t version, Nanos memo) {
  if (options_.memo + options_.keep == Nanos(0)) return;
  const Clock::time_point now = Clock::now();
  Value value = OfVersion(version);
  value.written_at = now;
  value.fresh_until = now + memo;
  value.expiry = now + options_.memo + options_.keep;
  memo_.Store(token, std::move(value), now);
}

void VersionKeys::Ask(std::string_view brand, absl::AnyInvocable<void(absl::StatusOr<Found>)> done) {
  shared_.GetOrLease(VersionKey(brand), false,
                     [this, alive = alive_, token = memo_.Begin(brand),
                      done = std::move(done)](absl::StatusOr<SharedCache::Found> found) mutable {
                       if (!*alive) return;
                       if (!found.ok()) {
                         metrics_.failed.Increment();
                         return done(found.status());
                       }
                       Found answer;
                       answer.token = std::move(found->token);
                       if (found->state == SharedCache::Found::State::kFresh) {
                         metrics_.hit.Increment();
                         answer.version = found->value.version;
                         Remember(token, found->value.version, options_.memo);
                       } else {
                         metrics_.miss.Increment();
                       }
                       done(std::move(answer));
                     });
}

void VersionKeys::Fill(std::string_view brand, const SharedCache::Token& token, uint64_t version) {
  shared_.SetWithLease(VersionKey(brand), token, OfVersion(version), [](const absl::StatusOr<bool>&) {});
}

void VersionKeys::GiveUp(std::string_view brand, const SharedCache::Token& token) {
  shared_.GiveUp(VersionKey(brand), token);
}

void VersionKeys::Raise(std::string_view brand, uint64_t version, absl::AnyInvocable<void(absl::Status)> done) {
  if (version == kVersionUnknown) return shared_.Delete({VersionKey(brand)}, std::move(done));
  shared_.Raise(VersionKey(brand), OfVersion(version),
                [done = std::move(done)](const absl::StatusOr<bool>& raised) mutable { done(raised.status()); });
}

void VersionKeys::Committed(std::string_view brand, uint64_t version) {
  memo_.Invalidate(brand, version);
  if (version != kVersionUnknown) Remember(memo_.Begin(brand), version, Nanos(0));
}

}  // namespace lab::cacheapi
