#include "services/ratelimit/memory_store.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/runtime/base/string_map.h"

namespace lab::ratelimit {

namespace {

struct Slot {
  std::string key;  // empty: free
  State state{};
  std::unique_ptr<LogEntries> log;
  UnixMicros worthless_at = 0;
  size_t weight = 1;
  bool referenced = false;
};

size_t Weight(const Slot& slot) { return 1 + (slot.log ? slot.log->bytes() / sizeof(UnixMicros) / 32 : 0); }

}  // namespace

struct MemoryStore::Impl {
  size_t max_keys;
  TimeSource clock;
  std::deque<Slot> slots;  // stable places: the index holds views of their keys
  std::vector<Slot*> free;
  StringMap<Slot*, std::string_view> index;
  size_t weight = 0;
  size_t hand = 0;
  uint64_t evictions = 0;

  Slot& Find(std::string_view key, UnixMicros now);
  void EvictOne(UnixMicros now, const Slot* keep);
  void RunGroup(Batch& batch, const Batch::Group& group);
  void Store(Slot& slot, const Term& term, const State& before, const State& after, UnixMicros now);
};

// Sweeps at most twice round: the first round takes the second chances away.
void MemoryStore::Impl::EvictOne(UnixMicros now, const Slot* keep) {
  for (size_t step = 0; step < 2 * slots.size(); ++step) {
    Slot& slot = slots[hand];
    hand = (hand + 1) % slots.size();
    if (slot.key.empty() || &slot == keep) continue;
    const bool worthless = slot.worthless_at <= now;
    if (slot.referenced && !worthless) {
      slot.referenced = false;
      continue;
    }
    if (!worthless) ++evictions;
    index.erase(slot.key);
    weight -= slot.weight;
    slot = Slot{};
    free.push_back(&slot);
    return;
  }
}

Slot& MemoryStore::Impl::Find(std::string_view key, UnixMicros now) {
  const auto found = index.find(key);
  if (found != index.end()) return *found->second;
  while (weight >= max_keys && !index.empty()) EvictOne(now, nullptr);
  if (free.empty()) free.push_back(&slots.emplace_back());
  Slot& slot = *free.back();
  free.pop_back();
  slot.key.assign(key);
  slot.weight = 1;
  ++weight;
  index.emplace(slot.key, &slot);
  return slot;
}

void MemoryStore::Impl::Store(Slot& slot, const Term& term, const State& before, const State& after, UnixMicros now) {
  slot.referenced = true;
  if (slot.log) {
    slot.log->Push(now, static_cast<uint64_t>(after.sliding_log.count - before.sliding_log.count));
    weight -= slot.weight;
    slot.weight = Weight(slot);
    weight += slot.weight;
    while (weight > max_keys && index.size() > 1) EvictOne(now, &slot);
  } else {
    slot.state = after;
  }
  slot.worthless_at = now + WorthlessAfter(*term.limit, after, now);
}

void MemoryStore::Impl::RunGroup(Batch& batch, const Batch::Group& group) {
  const absl::Span<const Term> terms(batch.terms.data() + group.first, group.size);
  absl::InlinedVector<State, 4> states(group.size);
  absl::InlinedVector<TermResult, 4> results(group.size);
  for (uint32_t i = 0; i < group.size; ++i) {
    const Term& term = terms[i];
    const std::string_view key = batch.key(group.first + i);
    State& state = states[i];
    const auto found = index.find(key);
    if (found != index.end()) {
      Slot& slot = *found->second;
      if (slot.log) {
        slot.log->Trim(batch.now, *term.limit);
        state.sliding_log = slot.log->Summary(batch.now, *term.limit, term.hits);
      } else {
        state = slot.state;
      }
    } else if (term.limit->algorithm == Algorithm::kSlidingLog) {
      state.sliding_log = LogEntries().Summary(batch.now, *term.limit, term.hits);
    }
    batch.states[group.first + i] = state;
  }
  for (uint32_t n = 0; n < group.count; ++n) {
    DecideRequest(terms, absl::MakeSpan(states), batch.now, absl::MakeSpan(results));
  }
  for (uint32_t i = 0; i < group.size; ++i) {
    const State& before = batch.states[group.first + i];
    if (std::memcmp(&before, &states[i], sizeof(State)) == 0) continue;  // nothing was charged
    Slot& slot = Find(batch.key(group.first + i), batch.now);
    if (terms[i].limit->algorithm == Algorithm::kSlidingLog && !slot.log) slot.log = std::make_unique<LogEntries>();
    Store(slot, terms[i], before, states[i], batch.now);
  }
}

MemoryStore::MemoryStore(size_t max_keys, TimeSource clock) : impl_(std::make_unique<Impl>()) {
  impl_->max_keys = std::max<size_t>(1, max_keys);
  impl_->clock = std::move(clock);
}

MemoryStore::~MemoryStore() = default;

void MemoryStore::Run(Batch& batch, Done done) {
  if (batch.now == 0) batch.now = impl_->clock();
  batch.states.assign(batch.terms.size(), State{});
  for (const Batch::Group& group : batch.groups) impl_->RunGroup(batch, group);
  done(absl::OkStatus());
}

size_t MemoryStore::keys() const { return impl_->index.size(); }
uint64_t MemoryStore::evictions() const { return impl_->evictions; }

UnixMicros MemoryStore::SystemMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace lab::ratelimit
