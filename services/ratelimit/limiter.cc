#include <algorithm>
#include <functional>
#include <utility>

#include "services/ratelimit/limiter_flight.h"

namespace lab::ratelimit {

namespace {

// From so many undecided requests on, a call waits for most of them; the memory of how many there were halves in 14
// calls. Measured with 16 and 64 outstanding on two cores; with fewer, waiting costs more than it saves.
constexpr double kCrowd = 8;
constexpr double kMostOfIt = 0.9;
constexpr double kForgets = 0.95;

}  // namespace

Limiter::Limiter(Options options, Store& store, MemoryStore& local, Metrics& metrics)
    : options_(options),
      store_(store),
      metrics_(metrics),
      rules_(std::make_shared<RuleSet>()),
      leases_(options.max_leased_keys),
      fallback_(local, options.replicas, options.on_store_failure) {
  places_.resize(256);
}

Limiter::~Limiter() = default;

void Limiter::SetRules(std::shared_ptr<const RuleSet> rules) {
  ++turn_;  // nothing asked from now on joins a group of the old rules
  placed_ = 0;
  rules_ = std::move(rules);
  ++rules_number_;
}

absl::Status Limiter::Decide(const Question& question, Pending& pending, Clock::time_point now) {
  pending.began_ = now;
  if (absl::Status status = resolver_.Resolve(*rules_, question, pending); !status.ok()) return status;
  if (pending.wanted_.empty()) {
    const bool ruled = std::any_of(pending.statuses.begin(), pending.statuses.end(),
                                   [](const Pending::Status& status) { return status.rule != nullptr; });
    (ruled ? metrics_.ok : metrics_.no_rule).Increment();
    pending.Decided();
    return absl::OkStatus();
  }
  if (random_.Next() % kHotKeySample == 0) {
    for (const Pending::Wanted& wanted : pending.wanted_) hot_keys_.Add(resolver_.key(wanted));
  }
  if (!DecideByLease(pending)) Enqueue(pending);
  return absl::OkStatus();
}

bool Limiter::SameGroup(const Pending& pending, const Flight& flight, uint32_t group) const {
  const Batch& batch = flight.batch;
  const Batch::Group& there = batch.groups[group];
  if (there.size != pending.wanted_.size()) return false;
  for (uint32_t i = 0; i < there.size; ++i) {
    const Pending::Wanted& wanted = pending.wanted_[i];
    const Term& term = batch.terms[there.first + i];
    const bool same = term.hits == wanted.term.hits && term.shadow == wanted.term.shadow &&
                      (term.limit == wanted.term.limit || *term.limit == *wanted.term.limit) &&
                      batch.key(there.first + i) == resolver_.key(wanted);
    if (!same) return false;
  }
  return true;
}

// The place of an equal request of this turn, or a free one.
Limiter::Place& Limiter::FindPlace(const Pending& pending, uint64_t hash) {
  if (2 * placed_ > places_.size()) {
    std::vector<Place> old(2 * places_.size());
    old.swap(places_);
    for (const Place& place : old) {
      if (place.turn != turn_) continue;
      size_t at = place.hash % places_.size();
      while (places_[at].turn == turn_) at = (at + 1) % places_.size();
      places_[at] = place;
    }
  }
  size_t at = hash % places_.size();
  while (places_[at].turn == turn_) {
    const Place& place = places_[at];
    if (place.hash == hash && SameGroup(pending, *place.flight, place.group)) break;
    at = (at + 1) % places_.size();
  }
  return places_[at];
}

// The last flight of this turn when it has room for so many terms, else a new one.
Limiter::Flight& Limiter::OpenFlight(size_t terms) {
  const auto max = static_cast<size_t>(options_.max_batch);
  if (!open_.empty()) {
    Flight& last = *open_.back();
    const bool room = last.batch.groups.size() < max && last.batch.terms.size() + terms <= std::max(terms, 4 * max);
    if (room && last.rules == rules_) return last;
  }
  if (idle_.empty()) idle_.push_back(flights_.emplace_back(std::make_unique<Flight>()).get());
  Flight* flight = idle_.back();
  idle_.pop_back();
  flight->rules = rules_;
  open_.push_back(flight);
  return *flight;
}

void Limiter::Enqueue(Pending& pending) {
  if (gathered_++ == 0) since_ = pending.began_;
  ++undecided_;
  pending.next_ = nullptr;
  const uint64_t hash = std::hash<std::string_view>()(resolver_.keys()) ^ Mix(pending.wanted_[0].term.hits);
  Place* place = options_.coalesce ? &FindPlace(pending, hash) : nullptr;
  if (place != nullptr && place->turn == turn_) {
    Flight& flight = *place->flight;
    Flight::Members& members = flight.members[place->group];
    members.last = members.last->next_ = &pending;
    ++flight.batch.groups[place->group].count;
    ++flight.requests;
    metrics_.coalesced_requests.Increment();
    return;
  }
  Flight& flight = OpenFlight(pending.wanted_.size());
  flight.batch.AddGroup();
  for (const Pending::Wanted& wanted : pending.wanted_) {
    Term term = wanted.term;
    // That of `pending` may end earlier.
    if (!OwnedBy(wanted.rule, term.limit)) term.limit = &flight.overrides.emplace_back(*term.limit);
    flight.batch.AddTerm(resolver_.key(wanted), term);
  }
  flight.members.push_back({&pending, &pending});
  ++flight.requests;
  if (place == nullptr) return;
  *place = {hash, turn_, &flight, static_cast<uint32_t>(flight.batch.groups.size() - 1)};
  ++placed_;
}

std::optional<Nanos> Limiter::Wait(Clock::time_point now) const {
  const Nanos hold = sent_ + kHold - now;
  if (in_store_ >= static_cast<size_t>(options_.max_in_flight) && hold > Nanos(0)) return hold;
  const Nanos gather = since_ + kGather - now;
  const bool few = crowd_ >= kCrowd && static_cast<double>(gathered_) < kMostOfIt * crowd_;
  if (few && gather > Nanos(0)) return gather;
  return std::nullopt;
}

std::optional<Nanos> Limiter::Flush(Clock::time_point now) {
  if (open_.empty()) return std::nullopt;
  if (const auto wait = Wait(now)) return wait;
  crowd_ = std::max(static_cast<double>(undecided_), kForgets * crowd_);
  gathered_ = 0;
  sent_ = now;
  ++turn_;
  placed_ = 0;
  std::vector<Flight*> leaving;
  leaving.swap(open_);
  for (Flight* flight : leaving) {
    flight->sent = now;
    SizeLeases(*flight);
    metrics_.batches.Increment();
    metrics_.batch_requests.Observe(flight->requests);
    ++in_store_;
    store_.Run(flight->batch, [this, flight](const absl::Status& status) { Complete(*flight, status); });
  }
  leaving.clear();
  if (open_.empty()) open_.swap(leaving);  // keeps its memory
  return std::nullopt;
}

void Limiter::Complete(Flight& flight, const absl::Status& status) {
  --in_store_;
  undecided_ -= flight.requests;
  if (status.ok()) {
    Answer(flight);
  } else {
    const auto now = Clock::now();
    if (failure_log_.Allow(now)) {
      obs::Log(obs::Level::kWarn, "store_failed",
               {{"error", std::string(status.message())},
                {"requests", flight.requests},
                {"suppressed", failure_log_.suppressed()}});
    }
    AnswerByPolicy(flight);
  }
  flight.batch.Clear();
  flight.overrides.clear();
  flight.members.clear();
  flight.rules.reset();
  flight.requests = 0;
  idle_.push_back(&flight);
}

void Limiter::Answer(Flight& flight) {
  for (size_t g = 0; g < flight.batch.groups.size(); ++g) {
    if (flight.members[g].lease != nullptr) {
      AnswerLease(flight, g);
    } else {
      AnswerGroup(flight, g);
    }
  }
}

void Limiter::AnswerGroup(Flight& flight, size_t group_index) {
  Batch& batch = flight.batch;
  const Batch::Group& group = batch.groups[group_index];
  const auto now = Clock::now();
  const absl::Span<const Term> terms(batch.terms.data() + group.first, group.size);
  const absl::Span<State> states(batch.states.data() + group.first, group.size);
  absl::InlinedVector<TermResult, 4> results(group.size);
  for (Pending* pending = flight.members[group_index].first; pending != nullptr;) {
    Pending* next = pending->next_;  // Decided may reuse it
    pending->over_limit = !DecideRequest(terms, states, batch.now, absl::MakeSpan(results));
    for (size_t d = 0; d < pending->statuses.size(); ++d) {
      if (const int32_t term = pending->term_of_[d]; term >= 0) pending->Tell(d, results[static_cast<size_t>(term)]);
    }
    bool shadowed = false;
    for (size_t i = 0; i < results.size(); ++i) shadowed |= terms[i].shadow && !results[i].passed;
    Finish(*pending, now, shadowed);
    pending = next;
  }
}

void Limiter::Finish(Pending& pending, Clock::time_point now, bool shadowed) {
  (pending.over_limit ? metrics_.over_limit : shadowed ? metrics_.shadow : metrics_.ok).Increment();
  metrics_.decision_duration.Observe(std::chrono::duration<double>(now - pending.began_).count());
  const std::shared_ptr<const RuleSet> rules = std::move(pending.rules_);  // until it has returned
  pending.Decided();
}

void Limiter::AnswerByPolicy(Flight& flight) {
  const auto now = Clock::now();
  for (size_t g = 0; g < flight.batch.groups.size(); ++g) {
    LeasedKey* leased = flight.members[g].lease;
    for (Pending* pending = leased != nullptr ? leased->TakeWaiting() : flight.members[g].first; pending != nullptr;) {
      Pending* next = pending->next_;
      const FailurePolicy decided = fallback_.Decide(*pending, flight.batch, flight.batch.groups[g]);
      metrics_.store_failures[static_cast<size_t>(decided)]->Increment();
      Finish(*pending, now, false);
      pending = next;
    }
    if (leased != nullptr) LeaseAnswered(*leased);
  }
}

}  // namespace lab::ratelimit
