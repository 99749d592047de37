// What of a read only some modes do: the filter of brands, versioned keys, what is stale when nothing else is to be
// had.
#include <optional>
#include <string>
#include <utility>

#include "services/cacheapi/filter/brand_filter.h"
#include "services/cacheapi/read/hot_copies.h"
#include "services/cacheapi/read/reader_load.h"
#include "services/cacheapi/read/shadow.h"
#include "services/cacheapi/shared/version_keys.h"

namespace lab::cacheapi {

// ---- the filter ----

void Reader::AskFilter(const Query& query, const std::string& key, Done done) {
  auto asked = [this, alive = alive_, brand = std::string(query.brand), actor = std::string(query.actor),
                query = Query(query), key, done = std::move(done)](bool may_exist) mutable {
    if (!*alive) return;
    query.brand = brand;
    query.actor = actor;
    may_exist ? Join(query, key, false, std::move(done)) : Deny(query, std::move(done));
  };
  parts_.modes.filter->Ask(query.brand, std::move(asked));
}

void Reader::Deny(const Query& query, Done done) {
  Answer answer{absl::OkStatus(), Via::kBloom, Value()};
  answer.value.negative = true;
  answer.value.written_at = answer.value.fresh_until = answer.value.expiry = Clock::now();
  if (!query.beside) metrics_->answers[static_cast<size_t>(Via::kBloom)]->Increment();
  if (parts_.modes.shadow != nullptr && !query.beside) {
    parts_.modes.shadow->Consider(query.brand, query.window, answer.value);
  }
  done(std::move(answer));
}

// ---- versioned keys ----

// The name in L1; "" while the version has to be asked for.
std::string Reader::LocalKey(const Query& query, const std::string& key, Clock::time_point now) const {
  if (parts_.modes.versions == nullptr) return key;
  const std::optional<uint64_t> version = parts_.modes.versions->Memo(query.brand, now);
  return version ? VersionedKey(key, *version) : "";
}

void Reader::AskVersion(LoadPtr load) {
  VersionKeys& versions = *parts_.modes.versions;
  load->version_fill = versions.Begin(load->brand);
  if (const std::optional<uint64_t> known = versions.Memo(load->brand, Clock::now())) {
    return TakeVersion(std::move(load), *known);
  }
  const Load& now = *load;
  versions.Ask(now.brand,
               [this, alive = alive_, load = std::move(load)](absl::StatusOr<VersionKeys::Found> found) mutable {
                 if (!*alive) return;
                 if (!found.ok()) {
                   load->shared_failed = true;
                   return AskOrigin(std::move(load));
                 }
                 if (found->version) return TakeVersion(std::move(load), *found->version);
                 load->version_lease = std::move(found->token);
                 if (load->version_lease.empty() && options_.lease) return WaitForLease(std::move(load));
                 AskOrigin(std::move(load));
               });
}

void Reader::TakeVersion(LoadPtr load, uint64_t version) {
  load->version = version;
  if (!load->refresh) {
    const Clock::time_point now = Clock::now();
    const Value* value = FromLocal(VersionedKey(load->key, version), now);
    if (value != nullptr && now < value->fresh_until) {
      const Value kept = *value;
      Compare(*load, kept);
      return End(*load, kept, Via::kLocal);
    }
  }
  AskShared(std::move(load));
}

// Under the version that the value is of, whatever was asked for: right for ever, so that nobody needs to be kept out.
void Reader::KeepVersioned(LoadPtr load, Value value) {
  auto keep = [this, load, value]() mutable {
    VersionKeys& versions = *parts_.modes.versions;
    auto stored = [this, alive = alive_](const absl::StatusOr<bool>& kept) {
      if (*alive) (!kept.ok() ? metrics_->failed : *kept ? metrics_->stored : metrics_->refused).Increment();
    };
    if (!load->lease.empty() && load->version == value.version) {
      parts_.shared->SetWithLease(load->stored, std::exchange(load->lease, ""), value, std::move(stored));
    } else {
      std::string name = VersionedKey(load->key, value.version);
      if (parts_.modes.copies != nullptr) name = parts_.modes.copies->NameFor(load->key, std::move(name));
      parts_.shared->Set(name, value, std::move(stored));
    }
    // Behind the entry, so that who is told of the version finds it.
    if (!load->version_lease.empty()) {
      versions.Fill(load->brand, std::exchange(load->version_lease, ""), value.version);
    } else if (load->version && *load->version < value.version) {
      // Who wrote it has not told yet, or never will.
      versions.Raise(load->brand, value.version, [](const absl::Status&) {});
    }
    GiveUp(*load);
  };
  Load& now = *load;
  At(Step::kSet, now, std::move(keep));
  End(now, std::move(value), Via::kOrigin);
}

// ---- when there is nothing better ----

void Reader::GiveUp(Load& load) {
  if (!load.lease.empty()) parts_.shared->GiveUp(load.stored, std::exchange(load.lease, ""));
  if (!load.version_lease.empty()) {
    parts_.modes.versions->GiveUp(load.brand, std::exchange(load.version_lease, ""));
  }
}

// Somebody still waits for it.
bool Reader::Wanted(const Load& load) { return load.lead ? load.lead.waiters() > 0 : !load.first.expired(); }

// Whatever L1 has of it, under the name that was good last.
const Value* Reader::LastLocal(std::string_view brand, const std::string& key, Clock::time_point now) const {
  if (parts_.modes.versions == nullptr) return FromLocal(key, now);
  const std::optional<uint64_t> version = parts_.modes.versions->LastSeen(brand, now);
  return version ? FromLocal(VersionedKey(key, *version), now) : nullptr;
}

void Reader::Fail(Load& load, const absl::Status& status) {
  if (options_.stale_if_error && !load.stale) {
    const Value* kept = LastLocal(load.brand, load.key, Clock::now());
    if (kept != nullptr) load.stale = *kept;
  }
  if (options_.stale_if_error && load.stale) return End(load, *load.stale, Via::kStale);
  End(load, status, Via::kError);
}

// Its time is over. What its load has found stale all who wait for it get, and who comes while it is under way; what L1
// has, this one.
void Reader::Late(Request& request) {
  if (options_.stale_if_error) {
    const LoadPtr load = request.load.lock();
    if (load != nullptr && load->stale && !load->ended) return Offer(*load, *load->stale, Via::kStale);
    const Value* kept = LastLocal(request.brand, request.key, Clock::now());
    if (kept != nullptr) return request.Tell(Value(*kept), Via::kStale);
  }
  request.Tell(absl::DeadlineExceededError("no answer in time"), Via::kError);
}

void Reader::Compare(const Load& load, const Value& value) {
  if (parts_.modes.shadow != nullptr && !load.beside && !load.refresh) {
    parts_.modes.shadow->Consider(load.brand, load.window, value);
  }
}

}  // namespace lab::cacheapi
