#include "services/ratelimit/limiter.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "services/runtime/base/text.h"

namespace lab::ratelimit {

namespace {

// From so many undecided requests on, a call waits for most of them; the memory of how many there were halves in 14
// calls. Measured with 16 and 64 outstanding on two cores; with fewer, waiting costs more than it saves.
constexpr double kCrowd = 8;
constexpr double kMostOfIt = 0.9;
constexpr double kForgets = 0.95;

// Not an override, nor replaced.
bool IsOfRule(const Pending::Status& status) { return status.rule != nullptr && status.limit == &status.rule->limit; }

}  // namespace

struct Limiter::Flight {
  Batch batch;
  std::shared_ptr<const RuleSet> rules;
  std::deque<Limit> overrides;  // limits that no rule owns
  struct Members {
    Pending* first = nullptr;
    Pending* last = nullptr;
  };
  std::vector<Members> members;  // by group
  uint32_t requests = 0;
};

Limiter::Limiter(Options options, Store& store, MemoryStore& local, Metrics& metrics)
    : options_(options), store_(store), local_(local), metrics_(metrics), rules_(std::make_shared<RuleSet>()) {
  places_.resize(256);
}

Limiter::~Limiter() = default;

void Limiter::SetRules(std::shared_ptr<const RuleSet> rules) {
  ++turn_;  // nothing asked from now on joins a group of the old rules
  placed_ = 0;
  rules_ = std::move(rules);
}

absl::Status Limiter::Decide(const Question& question, Pending& pending, Clock::time_point now) {
  pending.began_ = now;
  if (absl::Status status = Resolve(question, pending); !status.ok()) return status;
  if (pending.wanted_.empty()) {
    const bool ruled = std::any_of(pending.statuses.begin(), pending.statuses.end(),
                                   [](const Pending::Status& status) { return status.rule != nullptr; });
    (ruled ? metrics_.ok : metrics_.no_rule).Increment();
    pending.Decided();
    return absl::OkStatus();
  }
  BuildKeys(question, pending);
  Enqueue(pending);
  return absl::OkStatus();
}

absl::Status Limiter::Resolve(const Question& question, Pending& pending) {
  const size_t count = question.descriptors.size();
  pending.statuses.assign(count, {});
  pending.over_limit = pending.by_policy = false;
  pending.retry_after_us = 0;
  pending.wanted_.clear();
  pending.term_of_.assign(count, -1);
  const RuleNode* domain = rules_->Domain(question.domain);
  if (domain == nullptr) return absl::OkStatus();
  bool replaces = false;
  for (size_t i = 0; i < count; ++i) {
    const Question::Descriptor& descriptor = question.descriptors[i];
    const Rule* rule = rules_->Match(*domain, {question.entries.data() + descriptor.first, descriptor.size});
    if (descriptor.limit.has_value()) {
      if (absl::Status status = ResolveOverride(*descriptor.limit, i, rule, pending); !status.ok()) return status;
    } else if (rule != nullptr) {
      Pending::Status& status = pending.statuses[i];
      status.rule = rule;
      status.unlimited = rule->unlimited;
      status.unit = rule->unit;
      if (!rule->unlimited) status.limit = &rule->limit;
      replaces |= !rule->replaces.empty();
    }
  }
  if (replaces) DropReplaced(pending);
  for (size_t i = 0; i < count; ++i) {
    const Pending::Status& status = pending.statuses[i];
    if (status.limit == nullptr) continue;
    const bool shadow = IsOfRule(status) && status.rule->shadow;
    pending.term_of_[i] = static_cast<int32_t>(pending.wanted_.size());
    const uint64_t hits = std::min(kMaxHits, question.descriptors[i].hits);
    pending.wanted_.push_back({{status.limit, hits, shadow}, status.rule, 0, 0});
  }
  return absl::OkStatus();
}

// An override takes the algorithm of its rule, its burst is its limit, and it is never in shadow.
absl::Status Limiter::ResolveOverride(const Question::Override& given, size_t index, const Rule* rule,
                                      Pending& pending) {
  const Algorithm algorithm = rule != nullptr && !rule->unlimited ? rule->limit.algorithm : Algorithm::kFixedWindow;
  absl::StatusOr<Limit> limit = given.unit == Unit::kUnknown
                                    ? absl::InvalidArgumentError("unit must be SECOND … WEEK")
                                    : MakeLimit(algorithm, given.requests, MicrosOf(given.unit));
  if (!limit.ok()) {
    return absl::InvalidArgumentError(
        Concat("descriptors[", index, "].limit: ", std::string(limit.status().message())));
  }
  limit->count_rejected = rule != nullptr && rule->limit.count_rejected && limit->requests > 0;
  pending.overrides_.resize(pending.statuses.size());
  pending.overrides_[index] = *limit;
  pending.statuses[index].rule = rule;
  pending.statuses[index].unit = given.unit;
  pending.statuses[index].limit = &pending.overrides_[index];
  return absl::OkStatus();
}

void Limiter::DropReplaced(Pending& pending) const {
  for (const Pending::Status& by : pending.statuses) {
    if (by.rule == nullptr || (by.limit != nullptr && !IsOfRule(by))) continue;
    for (Pending::Status& status : pending.statuses) {
      if (status.rule == nullptr || status.rule == by.rule || status.rule->name.empty()) continue;
      const auto& names = by.rule->replaces;
      if (std::find(names.begin(), names.end(), status.rule->name) != names.end()) status.limit = nullptr;
    }
  }
}

void Limiter::AppendKeyOf(const Question& question, const Pending::Status& status, size_t index) {
  const Question::Descriptor& descriptor = question.descriptors[index];
  absl::Span<const Entry> entries(question.entries.data() + descriptor.first, descriptor.size);
  if (status.rule != nullptr && !status.rule->shared.empty()) {
    entries_.assign(entries.begin(), entries.end());
    for (const auto& [level, pattern] : status.rule->shared) entries_[level].second = pattern;
    entries = entries_;
  }
  AppendKey(question.domain, *status.limit, entries, keys_);
}

// Two descriptors of one request may come to the same key. Its hits then add up, and the lower limit decides for both:
// otherwise each would be checked without the other, and the key overdrawn.
void Limiter::BuildKeys(const Question& question, Pending& pending) {
  keys_.clear();
  auto& wanted = pending.wanted_;
  size_t kept = 0;
  for (size_t i = 0; i < pending.term_of_.size(); ++i) {
    if (pending.term_of_[i] < 0) continue;
    Pending::Wanted mine = wanted[static_cast<size_t>(pending.term_of_[i])];
    mine.key_offset = static_cast<uint32_t>(keys_.size());
    AppendKeyOf(question, pending.statuses[i], i);
    mine.key_size = static_cast<uint32_t>(keys_.size()) - mine.key_offset;
    const auto text = [&](const Pending::Wanted& of) {
      return std::string_view(keys_).substr(of.key_offset, of.key_size);
    };
    size_t same = 0;
    while (same < kept && text(wanted[same]) != text(mine)) ++same;
    pending.term_of_[i] = static_cast<int32_t>(same);
    if (same == kept) {
      wanted[kept++] = mine;
      continue;
    }
    keys_.resize(mine.key_offset);
    Term& first = wanted[same].term;
    first.hits = std::min(kMaxHits, first.hits + mine.term.hits);
    first.shadow = first.shadow && mine.term.shadow;
    if (mine.term.limit->requests < first.limit->requests) first.limit = mine.term.limit;
  }
  wanted.resize(kept);
  if (random_.Next() % kHotKeySample == 0) {
    for (const Pending::Wanted& each : wanted) {
      hot_keys_.Add(std::string_view(keys_).substr(each.key_offset, each.key_size));
    }
  }
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
                      batch.key(there.first + i) == std::string_view(keys_).substr(wanted.key_offset, wanted.key_size);
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
  const uint64_t hash = std::hash<std::string_view>()(keys_) ^ Mix(pending.wanted_[0].term.hits);
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
    const bool of_rule = wanted.rule != nullptr && term.limit == &wanted.rule->limit;
    if (!of_rule) term.limit = &flight.overrides.emplace_back(*term.limit);  // that of `pending` may end earlier
    flight.batch.AddTerm(std::string_view(keys_).substr(wanted.key_offset, wanted.key_size), term);
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
  Batch& batch = flight.batch;
  const auto now = Clock::now();
  absl::InlinedVector<TermResult, 4> results;
  for (size_t g = 0; g < batch.groups.size(); ++g) {
    const Batch::Group& group = batch.groups[g];
    const absl::Span<const Term> terms(batch.terms.data() + group.first, group.size);
    const absl::Span<State> states(batch.states.data() + group.first, group.size);
    results.resize(group.size);
    for (Pending* pending = flight.members[g].first; pending != nullptr;) {
      Pending* next = pending->next_;  // Decided may reuse it
      pending->over_limit = !DecideRequest(terms, states, batch.now, absl::MakeSpan(results));
      Fill(*pending, results);
      bool shadowed = false;
      for (size_t i = 0; i < results.size(); ++i) shadowed |= terms[i].shadow && !results[i].passed;
      Finish(*pending, now, shadowed);
      pending = next;
    }
  }
}

void Limiter::Fill(Pending& pending, absl::Span<const TermResult> results) {
  for (size_t i = 0; i < pending.statuses.size(); ++i) {
    if (pending.term_of_[i] < 0) continue;
    const auto at = static_cast<size_t>(pending.term_of_[i]);
    const TermResult& result = results[at];
    Pending::Status& status = pending.statuses[i];
    status.over_limit = !result.passed && !pending.wanted_[at].term.shadow;
    status.known = true;
    status.remaining = result.remaining;
    status.reset_after_us = result.reset_after_us;
    if (status.over_limit) pending.retry_after_us = std::max(pending.retry_after_us, result.retry_after_us);
  }
}

void Limiter::Finish(Pending& pending, Clock::time_point now, bool shadowed) {
  (pending.over_limit ? metrics_.over_limit : shadowed ? metrics_.shadow : metrics_.ok).Increment();
  metrics_.decision_duration.Observe(std::chrono::duration<double>(now - pending.began_).count());
  pending.Decided();
}

void Limiter::AnswerByPolicy(Flight& flight) {
  const auto now = Clock::now();
  for (size_t g = 0; g < flight.batch.groups.size(); ++g) {
    for (Pending* pending = flight.members[g].first; pending != nullptr;) {
      Pending* next = pending->next_;
      DecideByPolicy(*pending, flight, flight.batch.groups[g]);
      Finish(*pending, now, false);
      pending = next;
    }
  }
}

// One limit that denies is enough; only then are those with a local share asked, all or none.
void Limiter::DecideByPolicy(Pending& pending, const Flight& flight, const Batch::Group& group) {
  pending.by_policy = true;
  local_batch_.Clear();
  local_limits_.clear();
  local_batch_.AddGroup();
  absl::InlinedVector<int32_t, 4> local_of(group.size, -1);
  absl::InlinedVector<bool, 4> denies(group.size, false);
  for (uint32_t i = 0; i < group.size; ++i) {
    const Rule* rule = pending.wanted_[i].rule;
    const Term& term = flight.batch.terms[group.first + i];
    const FailurePolicy policy = rule != nullptr ? rule->on_store_failure : options_.on_store_failure;
    denies[i] = policy == FailurePolicy::kDeny && !term.shadow;
    pending.over_limit |= denies[i];
    if (policy != FailurePolicy::kLocal) continue;
    local_of[i] = static_cast<int32_t>(local_batch_.terms.size());
    const bool of_rule = rule != nullptr && term.limit == &rule->limit;
    const Limit* share = of_rule ? &rule->local : &local_limits_.emplace_back(Share(*term.limit, options_.replicas));
    local_batch_.AddTerm(flight.batch.key(group.first + i), {share, term.hits, term.shadow});
  }
  const bool ask = !pending.over_limit && !local_batch_.terms.empty();
  absl::InlinedVector<TermResult, 4> results(local_batch_.terms.size());
  if (ask) {
    local_.Run(local_batch_, [](const absl::Status&) {});
    pending.over_limit = !DecideRequest(local_batch_.terms, absl::MakeSpan(local_batch_.states), local_batch_.now,
                                        absl::MakeSpan(results));
  }
  for (size_t d = 0; d < pending.statuses.size(); ++d) {
    if (pending.term_of_[d] < 0) continue;
    const auto at = static_cast<size_t>(pending.term_of_[d]);
    Pending::Status& status = pending.statuses[d];
    status.over_limit = denies[at];
    if (!ask || local_of[at] < 0) continue;
    const TermResult& result = results[static_cast<size_t>(local_of[at])];
    status.over_limit = !result.passed && !pending.wanted_[at].term.shadow;
    status.known = true;
    status.remaining = result.remaining;
    status.reset_after_us = result.reset_after_us;
    if (status.over_limit) pending.retry_after_us = std::max(pending.retry_after_us, result.retry_after_us);
  }
  const bool denied = std::find(denies.begin(), denies.end(), true) != denies.end();
  const FailurePolicy decided = denied                        ? FailurePolicy::kDeny
                                : !local_batch_.terms.empty() ? FailurePolicy::kLocal
                                                              : FailurePolicy::kAllow;
  metrics_.store_failures[static_cast<size_t>(decided)]->Increment();
}

}  // namespace lab::ratelimit
