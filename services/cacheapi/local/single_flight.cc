#include "services/cacheapi/local/single_flight.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace lab::cacheapi {

struct SingleFlight::Flight {
  Flight(SingleFlight& owner, std::string_view flight_key) : flights(owner), key(flight_key) {}
  ~Flight() {
    while (first != nullptr) Unlink(*first);
  }
  Flight(const Flight&) = delete;
  Flight& operator=(const Flight&) = delete;

  void Append(Waiter& waiter) {
    waiter.flight_ = this;
    waiter.previous_ = last;
    waiter.next_ = nullptr;
    (last != nullptr ? last->next_ : first) = &waiter;
    last = &waiter;
    ++waiters;
    ++flights.waiters_;
  }
  void Unlink(Waiter& waiter) {
    (waiter.previous_ != nullptr ? waiter.previous_->next_ : first) = waiter.next_;
    (waiter.next_ != nullptr ? waiter.next_->previous_ : last) = waiter.previous_;
    waiter.flight_ = nullptr;
    --waiters;
    --flights.waiters_;
  }

  SingleFlight& flights;
  const std::string key;
  bool current = true;
  std::optional<Outcome> offered;
  Waiter* first = nullptr;
  Waiter* last = nullptr;
  size_t waiters = 0;
};

void SingleFlight::Waiter::Leave() {
  if (flight_ != nullptr) flight_->Unlink(*this);
}

SingleFlight::Lead::Lead(Lead&& other) noexcept : flights_(std::move(other.flights_)), id_(other.id_) {}

SingleFlight::Lead& SingleFlight::Lead::operator=(Lead&& other) noexcept {
  std::swap(flights_, other.flights_);
  std::swap(id_, other.id_);
  return *this;
}

SingleFlight::Lead::~Lead() {
  if (flights_ != nullptr) Finish(absl::AbortedError("the load was given up"));
}

void SingleFlight::Lead::Finish(const Outcome& outcome) {
  const std::shared_ptr<SingleFlight*> flights = std::move(flights_);
  if (flights != nullptr && *flights != nullptr) (*flights)->Finish(id_, outcome);
}

void SingleFlight::Lead::Offer(const Outcome& outcome) {
  const std::shared_ptr<SingleFlight*> flights = flights_;  // who is told may end the lead
  if (flights != nullptr && *flights != nullptr) (*flights)->Offer(id_, outcome);
}

bool SingleFlight::Lead::current() const {
  const Flight* flight = flights_ == nullptr || *flights_ == nullptr ? nullptr : (*flights_)->Find(id_);
  return flight != nullptr && flight->current;
}

size_t SingleFlight::Lead::waiters() const {
  const Flight* flight = flights_ == nullptr || *flights_ == nullptr ? nullptr : (*flights_)->Find(id_);
  return flight == nullptr ? 0 : flight->waiters;
}

SingleFlight::SingleFlight(const Options& options) : options_(options), self_(std::make_shared<SingleFlight*>(this)) {}
SingleFlight::~SingleFlight() { *self_ = nullptr; }

SingleFlight::Flight* SingleFlight::Find(uint64_t id) const {
  const auto found = flights_.find(id);
  return found == flights_.end() ? nullptr : found->second.get();
}

SingleFlight::Joined SingleFlight::Join(std::string_view key, Waiter& waiter) {
  if (const auto found = current_.find(key); found != current_.end()) {
    Flight& flight = *found->second;
    if (flight.waiters >= options_.max_waiters) return {};
    flight.Append(waiter);
    return {Role::kWaits, {}, flight.offered ? &*flight.offered : nullptr};
  }
  if (flights_.size() >= options_.max_flights || options_.max_waiters == 0) return {};
  const uint64_t id = ++last_id_;
  Flight& flight = *flights_.emplace(id, std::make_unique<Flight>(*this, key)).first->second;
  current_.emplace(flight.key, &flight);
  flight.Append(waiter);
  return {Role::kLeads, Lead(self_, id), nullptr};
}

void SingleFlight::Detach(Flight& flight) {
  if (std::exchange(flight.current, false)) current_.erase(flight.key);
}

bool SingleFlight::Detach(std::string_view key) {
  const auto found = current_.find(key);
  if (found == current_.end()) return false;
  Detach(*found->second);
  return true;
}

void SingleFlight::DetachAll() {
  for (const auto& [key, flight] : current_) flight->current = false;
  current_.clear();
}

// One after the other is taken off before it is told: it may join again, or end others that wait.
void SingleFlight::Tell(Flight& flight, const Outcome& outcome) {
  while (flight.first != nullptr) {
    Waiter& waiter = *flight.first;
    flight.Unlink(waiter);
    waiter.Done(outcome);
  }
}

void SingleFlight::Finish(uint64_t id, const Outcome& outcome) {
  const auto found = flights_.find(id);
  if (found == flights_.end()) return;  // FailAll was faster
  const std::unique_ptr<Flight> flight = std::move(found->second);
  flights_.erase(found);
  Detach(*flight);
  Tell(*flight, outcome);
}

// Those who wait are taken off together: who joins again while they are told waits for the load.
void SingleFlight::Offer(uint64_t id, const Outcome& outcome) {
  Flight* const flight = Find(id);
  if (flight == nullptr) return;  // FailAll was faster
  flight->offered = outcome;
  Flight told(*this, flight->key);
  while (flight->first != nullptr) {
    Waiter& waiter = *flight->first;
    flight->Unlink(waiter);
    told.Append(waiter);
  }
  Tell(told, outcome);
}

void SingleFlight::FailAll(const absl::Status& error) {
  DetachAll();
  std::vector<std::pair<uint64_t, std::unique_ptr<Flight>>> flights;
  for (auto& [id, flight] : flights_) flights.emplace_back(id, std::move(flight));
  flights_.clear();
  std::sort(flights.begin(), flights.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  const Outcome outcome(error);
  for (const auto& [id, flight] : flights) Tell(*flight, outcome);
}

}  // namespace lab::cacheapi
