#include "services/ratelimit/read_then_write_store.h"

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "services/ratelimit/memory_store.h"

namespace lab::ratelimit {

namespace {

constexpr int64_t kMarginMs = 1'000;  // a value outlives its worth by this

std::string_view BytesOf(const State& state) { return {reinterpret_cast<const char*>(&state), sizeof(State)}; }

}  // namespace

struct ReadThenWriteStore::Trip {
  Batch& batch;
  Done done;
  size_t writes = 0;  // not answered yet
  absl::Status status;
};

void ReadThenWriteStore::Run(Batch& batch, Done done) {
  if (batch.now == 0) batch.now = MemoryStore::SystemMicros();
  std::vector<std::string_view> read = {"MGET"};
  for (size_t i = 0; i < batch.keys.size(); ++i) read.push_back(batch.key(i));
  const auto trip = std::make_shared<Trip>(Trip{batch, std::move(done)});  // of all its callbacks
  client_.Command(read, [this, trip](const absl::StatusOr<redis::Reply>& reply) {
    if (!reply.ok()) return trip->done(reply.status());
    if (reply->size() != trip->batch.keys.size()) return trip->done(absl::InternalError("not a reply of MGET"));
    const States before = Read(*reply, trip->batch);
    States after = before;
    Decide(trip->batch, after);
    Write(trip, before, after);
  });
}

ReadThenWriteStore::States ReadThenWriteStore::Read(const redis::Reply& values, const Batch& batch) {
  States states;
  for (size_t i = 0; i < batch.keys.size(); ++i) {
    const std::string_view bytes = values[i].text();
    State state;
    if (bytes.size() == sizeof(State)) std::memcpy(&state, bytes.data(), sizeof(State));
    states.emplace(batch.key(i), state);
  }
  return states;
}

void ReadThenWriteStore::Decide(Batch& batch, States& states) {
  batch.states.assign(batch.terms.size(), State{});
  absl::InlinedVector<TermResult, 4> results;
  for (const Batch::Group& group : batch.groups) {
    const absl::Span<const Term> terms(batch.terms.data() + group.first, group.size);
    absl::InlinedVector<State, 4> own(group.size);
    results.resize(group.size);
    for (uint32_t i = 0; i < group.size; ++i) {
      own[i] = batch.states[group.first + i] = states[batch.key(group.first + i)];
    }
    for (uint32_t n = 0; n < group.count; ++n) {
      DecideRequest(terms, absl::MakeSpan(own), batch.now, absl::MakeSpan(results));
    }
    for (uint32_t i = 0; i < group.size; ++i) states[batch.key(group.first + i)] = own[i];
  }
}

void ReadThenWriteStore::Write(const std::shared_ptr<Trip>& trip, const States& before, const States& after) {
  const Batch& batch = trip->batch;
  for (size_t i = 0; i < batch.keys.size(); ++i) {
    const State& state = after.at(batch.key(i));
    if (std::memcmp(&state, &before.at(batch.key(i)), sizeof(State)) == 0) continue;
    const int64_t worth_ms = WorthlessAfter(*batch.terms[i].limit, state, batch.now) / 1000;
    const std::string ttl = std::to_string(worth_ms + kMarginMs);
    ++trip->writes;
    client_.Command({"SET", batch.key(i), BytesOf(state), "PX", ttl},
                    [trip](const absl::StatusOr<redis::Reply>& reply) {
                      trip->status.Update(reply.status());
                      if (--trip->writes == 0) trip->done(trip->status);
                    });
  }
  if (trip->writes == 0) trip->done(absl::OkStatus());
}

}  // namespace lab::ratelimit
