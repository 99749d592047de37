#include "services/cacheapi/read/reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "services/cacheapi/filter/brand_filter.h"
#include "services/cacheapi/model/xfetch.h"
#include "services/cacheapi/origin/origin_queue.h"
#include "services/cacheapi/read/hot_copies.h"
#include "services/cacheapi/read/reader_load.h"
#include "services/cacheapi/read/shadow.h"
#include "services/cacheapi/read/wanted_keys.h"
#include "services/cacheapi/shared/version_keys.h"

namespace lab::cacheapi {
namespace {

constexpr std::array<std::string_view, 7> kVias = {"l1", "l2", "stale", "origin", "coalesced", "error", "bloom"};
constexpr int kMostDoublings = 3;  // of the wait for a lease: 2, 4, 8, 16 ms

obs::Counter& Fills(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_fills_total", "Values of the database offered to L2, by what became of them",
                            {{"outcome", outcome}});
}

obs::Counter& Refreshes(obs::Metrics& metrics, const char* why) {
  return metrics.AddCounter("cacheapi_refreshes_total", "Loads that nobody waits for, by what began them",
                            {{"why", why}});
}

}  // namespace

std::string_view Name(Via via) { return kVias[static_cast<size_t>(via)]; }

Reader::Metrics::Metrics(obs::Metrics& m)
    : stored(Fills(m, "stored")),
      refused(Fills(m, "refused")),
      failed(Fills(m, "error")),
      lease_waits(m.AddCounter("cacheapi_lease_waits_total", "Waits for another process to fill a key")),
      abandoned(m.AddCounter("cacheapi_fills_abandoned_total", "Loads thrown away because their requests had gone")),
      refreshes{&Refreshes(m, "stale"), &Refreshes(m, "early")} {
  for (size_t i = 0; i < answers.size(); ++i) {
    answers[i] =
        &m.AddCounter("cacheapi_answers_total", "Answers by how they came about", {{"via", std::string(kVias[i])}});
  }
}

void Reader::Request::Tell(const SingleFlight::Outcome& outcome, Via how) {
  Reader::Done told = std::exchange(done, nullptr);
  if (!told) return;
  timer.cancel();
  Leave();
  if (reader.parts_.gate != nullptr) reader.parts_.gate->Answered(actor);
  Answer answer;
  answer.status = outcome.status();
  answer.via = outcome.ok() ? how : Via::kError;
  if (outcome.ok()) answer.value = *outcome;
  if (counted) reader.metrics_->answers[static_cast<size_t>(answer.via)]->Increment();
  std::shared_ptr<Request> self = std::move(reader.requests_.extract(shared).value());
  shared.reset();
  told(std::move(answer));
}

Reader::Reader(Parts parts, Options options, obs::Metrics& metrics, uint64_t seed)
    : parts_(parts),
      options_(options),
      metrics_(std::make_unique<Metrics>(metrics)),
      random_(seed),
      alive_(std::make_shared<bool>(true)) {}

Reader::~Reader() {
  *alive_ = false;
  for (const std::shared_ptr<Request>& request : requests_) {
    request->done = nullptr;
    request->Leave();
  }
  const auto requests = std::move(requests_);
  for (const std::shared_ptr<Request>& request : requests) request->shared.reset();
}

std::string Reader::KeyOf(std::string_view brand, Window window) const {
  return CacheKey(brand, options_.window_in_key ? window : kDefaultWindow);
}

void Reader::At(Step step, const Load& load, absl::AnyInvocable<void()> then) {
  if (parts_.gate == nullptr) return then();
  parts_.gate->Arrive(load.actor, step, std::move(then));
}

bool Reader::Early(const Value& value, Clock::time_point now) {
  return options_.early && RecomputeEarly(now, value.fresh_until, value.delta, options_.beta, random_.Uniform());
}

// ---- what is asked ----

void Reader::Get(const Query& query, Done done) {
  const std::string key = KeyOf(query.brand, query.window);
  const Clock::time_point now = Clock::now();
  const Modes& modes = parts_.modes;
  if (modes.wanted != nullptr && !query.beside) modes.wanted->Observe(query.brand, query.window, now);
  if (modes.copies != nullptr && !query.beside) modes.copies->Observe(key, now);
  if (AnswerLocally(query, key, now, done)) return;
  if (modes.filter != nullptr && !modes.filter->MayExist(query.brand)) return AskFilter(query, key, std::move(done));
  Join(query, key, false, std::move(done));
}

const Value* Reader::FromLocal(std::string_view key, Clock::time_point now) const {
  if (!LocalOn() || (local_use_ == LocalUse::kFollows && now >= local_until_)) return nullptr;
  return parts_.local.Get(key, now);
}

bool Reader::AnswerLocally(const Query& query, const std::string& key, Clock::time_point now, Done& done) {
  if (!LocalOn()) return false;
  const std::string local_key = LocalKey(query, key, now);
  const Value* value = local_key.empty() ? nullptr : FromLocal(local_key, now);
  if (value == nullptr) return false;
  const bool fresh = now < value->fresh_until;
  if (!fresh && !options_.stale_while_revalidate) return false;
  Answer answer{absl::OkStatus(), fresh ? Via::kLocal : Via::kStale, *value};
  if (!query.beside) metrics_->answers[static_cast<size_t>(answer.via)]->Increment();
  if (fresh && parts_.modes.shadow != nullptr && !query.beside) {
    parts_.modes.shadow->Consider(query.brand, query.window, answer.value);
  }
  if (!fresh) {
    Refresh(query, key, kStaleOne);
  } else if (Early(answer.value, now)) {
    Refresh(query, key, kEarlyOne);
  }
  done(std::move(answer));
  return true;
}

void Reader::Refresh(const Query& query, const std::string& key, Why why) {
  metrics_->refreshes[why]->Increment();
  Join(query, key, true, [](const Answer&) {});
}

void Reader::Join(const Query& query, const std::string& key, bool refresh, Done done) {
  auto request = std::make_shared<Request>(*this, query.brand, key, std::move(done));
  request->counted = !refresh && !query.beside;
  request->actor = std::string(query.actor);
  request->presence = StepGate::Presence(parts_.gate, query.actor);
  request->shared = request;
  requests_.insert(request);
  request->timer.expires_at(query.deadline);
  request->timer.async_wait([weak = std::weak_ptr<Request>(request)](const boost::system::error_code& error) {
    const auto late = weak.lock();
    if (!error && late != nullptr) late->reader.Late(*late);
  });

  auto load = std::make_shared<Load>(parts_.loop);
  if (options_.single_flight) {
    SingleFlight::Joined joined = parts_.flights.Join(key, *request);
    if (joined.role == SingleFlight::Role::kRefused) {
      load->brand = request->brand;
      load->key = key;
      load->first = request;
      return Fail(*load, absl::ResourceExhaustedError("too many loads, or too many who wait for one"));
    }
    if (joined.offered != nullptr && joined.offered->ok() && Clock::now() < (*joined.offered)->expiry) {
      const SingleFlight::Outcome offered = *joined.offered;
      return request->Done(offered);
    }
    if (joined.role == SingleFlight::Role::kWaits) {
      if (parts_.gate != nullptr) parts_.gate->Waits(query.actor);
      return;
    }
    load->lead = std::move(joined.lead);
  }
  load->brand = std::string(query.brand);
  load->key = key;
  load->actor = std::string(query.actor);
  load->window = query.window;
  load->deadline = query.deadline;
  load->refresh = refresh;
  load->beside = query.beside;
  load->first = request;
  request->load = load;
  load->presence = StepGate::Presence(parts_.gate, query.actor);
  Begin(std::move(load));
}

void Reader::Invalidate(std::string_view brand, uint64_t version) {
  for (const std::string& key : CacheKeys(brand)) {
    parts_.local.Invalidate(key, version);
    parts_.flights.Detach(key);
  }
  if (parts_.modes.versions != nullptr) parts_.modes.versions->Committed(brand, version);
}

void Reader::InvalidateKey(std::string_view key, uint64_t version) {
  parts_.local.Invalidate(key, version);
  parts_.flights.Detach(key);
}

void Reader::ForgetAll() {
  parts_.local.Clear();
  parts_.flights.DetachAll();
  if (parts_.modes.versions != nullptr) parts_.modes.versions->ForgetAll();
}

void Reader::FollowShared(bool told) {
  local_use_ = told ? LocalUse::kFollows : LocalUse::kOff;
  ForgetAll();
}

// ---- a load ----

void Reader::Begin(LoadPtr load) {
  load->fill = parts_.local.Begin(load->key);  // before anything is read
  if (!options_.shared || parts_.shared == nullptr) return AskOrigin(std::move(load));
  LookInShared(std::move(load));
}

void Reader::LookInShared(LoadPtr load) {
  Load& now = *load;
  At(Step::kGet, now, [this, load = std::move(load)]() mutable { AskShared(std::move(load)); });
}

void Reader::AskShared(LoadPtr load) {
  const Modes& modes = parts_.modes;
  if (modes.versions != nullptr && !load->version) return AskVersion(std::move(load));
  if (load->stored.empty()) {
    load->stored = modes.versions != nullptr ? VersionedKey(load->key, *load->version) : load->key;
    if (modes.copies != nullptr) load->stored = modes.copies->NameFor(load->key, std::move(load->stored));
  }
  const std::string& key = load->stored;
  load->fill = parts_.local.Begin(load->key);  // whoever had the lease has stored meanwhile: this read is a new one
  auto taken = [this, alive = alive_, load](absl::StatusOr<SharedCache::Found> found) mutable {
    if (*alive) TakeShared(std::move(load), std::move(found));
  };
  options_.lease ? parts_.shared->GetOrLease(key, load->refresh, std::move(taken))
                 : parts_.shared->Get(key, std::move(taken));
}

void Reader::TakeShared(LoadPtr load, absl::StatusOr<SharedCache::Found> found) {
  using State = SharedCache::Found::State;
  if (!found.ok()) {
    load->shared_failed = true;
    return AskOrigin(std::move(load));
  }
  load->lease = std::move(found->token);
  if (found->state == State::kFresh && !load->refresh) {
    if (!LocalOn()) return UseShared(std::move(load), std::move(found->value));
    Load& now = *load;
    return At(Step::kKeep, now, [this, load = std::move(load), value = std::move(found->value)]() mutable {
      UseShared(std::move(load), std::move(value));
    });
  }
  const bool loads = !options_.lease || !load->lease.empty();  // else somebody else does
  if (found->state == State::kStale) load->stale = found->value;
  // Good enough meanwhile: what is fresh and refreshed before its time, or stale where that may be served.
  if (found->state == State::kFresh || (load->stale && options_.stale_while_revalidate)) {
    const Via via = found->state == State::kFresh ? Via::kShared : Via::kStale;
    if (!loads) return End(*load, std::move(found->value), via);
    Offer(*load, found->value, via);
  }
  loads ? AskOrigin(std::move(load)) : WaitForLease(std::move(load));
}

void Reader::UseShared(LoadPtr load, Value value) {
  KeepLocal(*load, value);
  Compare(*load, value);
  const bool early = Early(value, Clock::now());
  End(*load, std::move(value), Via::kShared);
  if (early) Refresh({load->brand, load->window, load->deadline, load->actor}, load->key, kEarlyOne);
}

// Somebody else fills it: looks again, ever more rarely, until there is a value or the lease is free.
void Reader::WaitForLease(LoadPtr load) {
  metrics_->lease_waits.Increment();
  if (parts_.gate != nullptr && !load->actor.empty()) return LookInShared(std::move(load));  // when it is told to
  const Nanos wait = options_.lease_poll * (int64_t{1} << std::min(load->waits++, kMostDoublings));
  if (Clock::now() + wait >= load->deadline) {
    return Fail(*load, absl::DeadlineExceededError("another process has not filled it in time"));
  }
  load->timer.expires_after(wait);
  Load& now = *load;
  now.timer.async_wait([this, alive = alive_, load = std::move(load)](const boost::system::error_code& error) mutable {
    if (*alive && !error) AskShared(std::move(load));
  });
}

void Reader::AskOrigin(LoadPtr load) {
  Load& now = *load;
  At(Step::kSelect, now, [this, load = std::move(load)]() mutable {
    const Load& asked = *load;
    auto taken = [this, alive = alive_, load](absl::StatusOr<Insight> insight) mutable {
      if (!*alive) return;
      // Without these nobody sees when it comes.
      if (!options_.local && !options_.single_flight) return TakeOrigin(std::move(load), std::move(insight));
      Load& loaded = *load;
      At(Step::kLoad, loaded, [this, load = std::move(load), insight = std::move(insight)]() mutable {
        TakeOrigin(std::move(load), std::move(insight));
      });
    };
    if (parts_.modes.queue == nullptr) return parts_.origin.Read(asked.brand, asked.window, std::move(taken));
    auto given_up = [load] { return Clock::now() >= load->deadline && !Wanted(*load); };
    parts_.modes.queue->Read(asked.brand, asked.window, asked.deadline, std::move(given_up), std::move(taken));
  });
}

void Reader::TakeOrigin(LoadPtr load, absl::StatusOr<Insight> insight) {
  if (!insight.ok()) {
    GiveUp(*load);
    return Fail(*load, insight.status());
  }
  if (!insight->exists && parts_.modes.filter != nullptr) parts_.modes.filter->CountFalsePositive();
  Value value;
  value.version = insight->version;
  value.body = std::move(insight->body);
  value.delta = insight->took;
  value.negative = !insight->exists;
  const Clock::time_point now = Clock::now();
  value.written_at = now;
  value.fresh_until = now + options_.local_ttl;
  value.expiry = value.fresh_until;
  const bool abandoned = options_.cancel_with_request && !load->offered && !Wanted(*load);
  if (abandoned) metrics_->abandoned.Increment();
  if (abandoned || (value.negative && !options_.negative)) {
    GiveUp(*load);
    return End(*load, std::move(value), Via::kOrigin);
  }
  Keep(std::move(load), std::move(value));
}

// The answer does not wait for the store.
void Reader::Keep(LoadPtr load, Value value) {
  // For L1, once L2 has it. What its key says is right for ever need not wait: no change of it is ever told.
  std::optional<Value> later;
  if (local_use_ == LocalUse::kFollows && parts_.modes.versions == nullptr) later = value;
  if (!later) KeepLocal(*load, value);
  if (parts_.modes.versions != nullptr) parts_.modes.versions->Saw(load->version_fill, value.version);
  if (!options_.shared || parts_.shared == nullptr || load->shared_failed) {
    return End(*load, std::move(value), Via::kOrigin);
  }
  if (parts_.modes.versions != nullptr) return KeepVersioned(std::move(load), std::move(value));
  // The load is under way until then.
  auto stored = [this, alive = alive_, load, later = std::move(later)](const absl::StatusOr<bool>& kept) {
    if (!*alive) return;
    (!kept.ok() ? metrics_->failed : *kept ? metrics_->stored : metrics_->refused).Increment();
    if (!later || !kept.ok() || !*kept) return;
    At(Step::kKeep, *load, [this, load, value = *later] { KeepLocal(*load, value); });
  };
  Load& now = *load;
  At(Step::kSet, now, [this, load, value, stored]() mutable {
    if (options_.lease) {
      parts_.shared->SetWithLease(load->stored, load->lease, value, std::move(stored));
    } else if (options_.newer_only) {
      parts_.shared->SetIfNewer(load->stored, value, std::move(stored));
    } else {
      parts_.shared->Set(load->stored, value, std::move(stored));
    }
  });
  End(*load, std::move(value), Via::kOrigin);
}

void Reader::KeepLocal(Load& load, const Value& value) {
  if (!LocalOn()) return;
  const Clock::time_point now = Clock::now();
  Value kept = value;
  kept.fresh_until = std::min(value.fresh_until, now + options_.local_ttl);
  const bool stale = options_.stale_while_revalidate || options_.stale_if_error;
  kept.expiry = kept.fresh_until + (stale && !value.negative ? options_.local_stale : Nanos(0));
  // What its key says is right for ever needs no fence.
  if (parts_.modes.versions != nullptr) load.fill = parts_.local.Begin(VersionedKey(load.key, value.version));
  parts_.local.Store(load.fill, std::move(kept), now);
}

// All who wait are given this, and who comes while the load is under way is too; it goes on.
void Reader::Offer(Load& load, const Value& value, Via via) {
  load.offered = true;
  const std::shared_ptr<Request> first = load.first.lock();
  if (load.lead) {
    if (first != nullptr) first->via = via;
    return load.lead.Offer(value);
  }
  if (first != nullptr) first->Tell(value, via);
}

void Reader::End(Load& load, SingleFlight::Outcome outcome, Via via) {
  if (load.ended) return;
  load.ended = true;
  const std::shared_ptr<Request> first = load.first.lock();
  if (load.lead) {
    if (first != nullptr) first->via = via;
    SingleFlight::Lead lead = std::move(load.lead);
    return lead.Finish(outcome);
  }
  if (first != nullptr) first->Tell(outcome, via);
}

}  // namespace lab::cacheapi
