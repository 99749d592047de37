#pragma once

#include <cstdint>

namespace lab::bench {

// How an operation ended. Unknown: sent, and no answer in time, so it may have happened. Dropped: never sent (the bound
// on operations in flight was reached, or the generator was too late); it counts as offered, not as achieved.
enum class Outcome : uint8_t { kOk, kFailed, kUnknown, kDropped };

// What the system answered, where that is an answer of the domain rather than an outcome: a limiter admits or limits, a
// cache says where a value came from (its process, the shared one, the database, kept beyond its time, another
// request's load), a store that it has written, or that it will (the write stands in a queue, its version is not
// known).
enum class Answer : uint8_t {
  kNone,
  kAdmitted,
  kLimited,
  kHitLocal,
  kHitShared,
  kMiss,
  kStale,
  kCoalesced,
  kWritten,
  kQueued,
};

// What was asked: what is there (also of a system that knows nothing else), a write, or what is known not to be there.
enum class Ask : uint16_t { kRead, kWrite, kMissing };

// Sessions are numbered from 1.
inline constexpr uint16_t kNobodysSession = 0;
inline constexpr uint16_t kMostSessions = (1 << 14) - 1;

// One scheduled operation. Times are nanoseconds since the start of the load of its trial (t = 0).
struct Op {
  int64_t intended_ns = 0;  // when the schedule wanted it sent; latency counts from here
  int64_t sent_ns = 0;      // when it was handed to its connection, just before the write; 0 when dropped
  int64_t done_ns = 0;      // when it was answered, failed or timed out; 0 when dropped
  uint32_t key = 0;
  uint16_t stream = 0;  // index into Trial::streams
  Outcome outcome : 4 = Outcome::kDropped;
  uint8_t attempts : 4 = 1;  // sendings of it: more than 1 only where its load says so
  Answer answer = Answer::kNone;
  uint16_t code = 0;                        // gRPC status code or HTTP status
  uint16_t session : 14 = kNobodysSession;  // of the client that asked
  Ask ask : 2 = Ask::kRead;
  uint32_t version = 0;  // of what was read or written, as the answer tells it; 0: it does not

  int64_t latency_ns() const { return done_ns - intended_ns; }
  int64_t service_ns() const { return done_ns - sent_ns; }
  int64_t lag_ns() const { return sent_ns - intended_ns; }
};
static_assert(sizeof(Op) == 40, "a run keeps millions of them");

}  // namespace lab::bench
