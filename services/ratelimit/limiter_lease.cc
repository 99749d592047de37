#include <algorithm>

#include "services/ratelimit/limiter_flight.h"

// How the limiter uses its leases.
namespace lab::ratelimit {

// A request with one limit, and that leased, is decided here as long as the lease knows, else it waits for the store's
// answer. All others are for the store: several limits, all or none; more hits than a lease, which are granted whole or
// not at all; a look, for which no lease is taken.
bool Limiter::DecideByLease(Pending& pending) {
  if (pending.wanted_.size() != 1) return false;
  const Pending::Wanted& wanted = pending.wanted_[0];
  const Rule* rule = wanted.rule;
  if (!OwnedBy(rule, wanted.term.limit) || wanted.term.hits > rule->lease.hits || rule->lease.hits == 0) return false;
  const auto now = Clock::now();  // not the turn's time: that may lie before the edge of a window
  LeasedKey* leased = leases_.FindOrAdd(resolver_.key(wanted), now);
  if (leased == nullptr) return false;
  if (!leased->asking && leased->rules != rules_number_) leased->lease = Lease{};
  const bool current = leased->rules == rules_number_;
  if (current && TryLease(*leased, pending, now, now)) return true;
  if (wanted.term.hits == 0) return false;
  pending.rules_ = rules_;
  WaitForLease(*leased, pending);
  if (!leased->asking) AskForLease(*leased);
  return true;
}

// Decides `pending` as of `at`; false when the lease does not know.
bool Limiter::TryLease(LeasedKey& leased, Pending& pending, Clock::time_point at, Clock::time_point now) {
  const Term& term = pending.wanted_[0].term;
  const Lease::Verdict verdict = leased.lease.Decide(term.hits, at);
  if (verdict == Lease::Verdict::kAsk) return false;
  const bool passed = verdict == Lease::Verdict::kPass;
  const TermResult result = leased.lease.Describe(*term.limit, term.hits, passed, at);
  pending.over_limit = !passed && !term.shadow;
  for (size_t d = 0; d < pending.statuses.size(); ++d) {
    if (pending.term_of_[d] >= 0) pending.Tell(d, result);
  }
  metrics_.leased.Increment();
  Finish(pending, now, term.shadow && !passed);
  return true;
}

void Limiter::WaitForLease(LeasedKey& leased, Pending& pending) {
  pending.next_ = nullptr;
  if (leased.first == nullptr) {
    leased.first = leased.last = &pending;
  } else {
    leased.last = leased.last->next_ = &pending;
  }
  leased.waiting_hits += pending.wanted_[0].term.hits;
}

// How much is asked for, SizeLeases says when the question leaves.
void Limiter::AskForLease(LeasedKey& leased) {
  const Pending& first = *leased.first;
  leased.asking = true;
  leased.rules = first.rules_ == rules_ ? rules_number_ : 0;
  if (gathered_++ == 0) since_ = first.began_;
  ++undecided_;
  Flight& flight = OpenFlight(1);
  flight.batch.AddGroup();
  flight.batch.AddTerm(leased.key, {first.wanted_[0].term.limit, 1});  // which lives as long as `first` waits
  flight.members.push_back({nullptr, nullptr, &leased});
  ++flight.requests;
  metrics_.leases.Increment();
}

// A lease is a group of single hits, of which the store grants as many as there is room for.
void Limiter::SizeLeases(Flight& flight) {
  for (size_t g = 0; g < flight.members.size(); ++g) {
    const LeasedKey* leased = flight.members[g].lease;
    if (leased == nullptr) continue;
    const LeaseTerms& terms = leased->first->wanted_[0].rule->lease;
    const uint32_t missing = leased->lease.Missing(terms, leased->waiting_hits, flight.sent);
    flight.batch.groups[g].count = std::max<uint32_t>(1, missing);
    flight.batch.terms[flight.batch.groups[g].first].hits = missing == 0 ? 0 : 1;
  }
}

// Who waited when the question left is decided as of that moment, who came later as of the moment it came: both lie
// between question and answer of the request. The first were all asked for, so only those who came later may have to
// wait for the next lease; and the first too where the answer is of a window that began after the question left.
void Limiter::AnswerLease(Flight& flight, size_t group) {
  LeasedKey& leased = *flight.members[group].lease;
  const Batch::Group& asked = flight.batch.groups[group];
  const Term& term = flight.batch.terms[asked.first];
  leased.lease.Granted(*term.limit, leased.first->wanted_[0].rule->lease, flight.batch.states[asked.first].fixed_window,
                       flight.batch.now, term.hits == 0 ? 0 : asked.count, flight.sent);
  const auto now = Clock::now();
  for (Pending* pending = leased.TakeWaiting(); pending != nullptr;) {
    Pending* next = pending->next_;  // Decided may reuse it
    if (!TryLease(leased, *pending, std::max(pending->began_, flight.sent), now)) WaitForLease(leased, *pending);
    pending = next;
  }
  LeaseAnswered(leased);
}

void Limiter::LeaseAnswered(LeasedKey& leased) {
  leased.asking = false;
  if (leased.rules != rules_number_) leased.lease = Lease{};
  if (leased.first != nullptr) AskForLease(leased);
}

}  // namespace lab::ratelimit
