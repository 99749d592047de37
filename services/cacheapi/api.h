#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/limiter_client.h"
#include "services/cacheapi/origin.h"
#include "services/cacheapi/reader.h"
#include "services/cacheapi/window.h"
#include "services/cacheapi/writer.h"
#include "services/runtime/base/random.h"
#include "services/runtime/obs/trace.h"

namespace lab::cacheapi {

// Who asks, as far as it says so. Views live for the call only.
struct Caller {
  std::string_view tenant;                                // "": none
  std::string_view actor;                                 // for the step gate; "": none
  Clock::time_point deadline = Clock::time_point::max();  // its own
  obs::TraceContext trace;
};

// What both edges do with a request that they have decoded: the check of what was asked, the rate limiter where there
// is one, the reader or the writer, and what their errors are to who asked. On the loop's thread.
//
// Statuses, for reads and writes alike:
//   INVALID_ARGUMENT    what was asked is wrong, and how
//   NOT_FOUND           there is no such brand (of a write; a read says so by answer.value.negative)
//   ALREADY_EXISTS      the request id is of a write to another brand
//   RESOURCE_EXHAUSTED  over the tenant's limit, and nothing else
//   UNAVAILABLE         certainly not done: the database or the limiter is away, too much waits, too late to begin
//   DEADLINE_EXCEEDED   no answer in time; a write may have happened
//   INTERNAL            ours
class Api {
 public:
  struct Options {
    Nanos deadline = Millis(1000);  // of a read, where the caller's is later; a write has the writer's
  };
  // `limiter` is null without one. What it is given must live longer.
  Api(Reader& reader, Writer& writer, LimiterClient* limiter, Options options, uint64_t seed);

  struct Read {
    absl::Status status;
    LimiterClient::Fields limit;  // of the tenant's rate limit, where it is known
    Answer answer;                // of OK: value.negative where there is no such brand
    Window window = kDefaultWindow;
  };
  struct Written {
    absl::Status status;
    LimiterClient::Fields limit;
    uint64_t version = 0;  // that the write has made, of OK
  };
  using ReadDone = absl::AnyInvocable<void(Read)>;
  using WriteDone = absl::AnyInvocable<void(Written)>;

  // `window` as ParseWindow has it. `done` runs once, maybe within the call.
  void Get(const Caller& caller, std::string_view brand, std::string_view window, ReadDone done);
  // The correction as it came; without a request id it gets one of its own.
  void Write(const Caller& caller, Correction correction, WriteDone done);

 private:
  // Goes on once the request may pass, or has it refused.
  using Passed = absl::AnyInvocable<void(absl::Status, LimiterClient::Fields)>;
  void Pass(const Caller& caller, Clock::time_point deadline, Passed then);

  Reader& reader_;
  Writer& writer_;
  LimiterClient* const limiter_;
  const Options options_;
  Random random_;
};

// Bounds of a correction.
inline constexpr int64_t kMostPosts = 1'000'000'000'000;  // up or down
inline constexpr size_t kMostNoteBytes = 1000;
inline constexpr size_t kMostRequestIdBytes = 128;
inline constexpr size_t kMostTenantBytes = 128;
absl::Status CheckCorrection(const Correction& correction);
// "" or printable ASCII.
absl::Status CheckTenant(std::string_view tenant);

}  // namespace lab::cacheapi
