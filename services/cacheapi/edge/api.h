#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/edge/http_caching.h"
#include "services/cacheapi/limiter/limiter_client.h"
#include "services/cacheapi/model/window.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/write/brand_creator.h"
#include "services/cacheapi/write/writer.h"
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
// is one, the reader, the writer or the creator of brands, and what their errors are to who asked. On the loop's
// thread.
//
// Statuses, for reads and writes alike:
//   INVALID_ARGUMENT    what was asked is wrong, and how
//   NOT_FOUND           there is no such brand (of a write; a read says so by answer.value.negative)
//   ALREADY_EXISTS      the request id is of another write; of a new brand: there is one of another name
//   RESOURCE_EXHAUSTED  over the tenant's limit, and nothing else
//   UNAVAILABLE         certainly not done: the database or the limiter is away, too much waits, too late to begin
//   DEADLINE_EXCEEDED   no answer in time; a write may have happened
//   INTERNAL            ours
class Api {
 public:
  struct Options {
    // Of a read and of a new brand, where the caller's is later; a correction has the writer's.
    Nanos deadline = Millis(1000);
    Nanos stale_while_revalidate{0};  // for how long what is stale may be served, by us and by caches before us
  };
  // `limiter` is null without one. What it is given must live longer.
  Api(Reader& reader, Writer& writer, BrandCreator& creator, LimiterClient* limiter, Options options, uint64_t seed);

  struct Read {
    absl::Status status;
    LimiterClient::Fields limit;  // of the tenant's rate limit, where it is known
    Answer answer;                // of OK: value.negative where there is no such brand
    CacheFacts facts;             // of OK
    Window window = kDefaultWindow;
  };
  struct Written {
    absl::Status status;
    LimiterClient::Fields limit;
    bool queued = false;   // of OK: it waits in the durable queue and is applied later
    uint64_t version = 0;  // of OK: that the write has made; 0 of one that is queued
  };
  struct NewBrand {
    std::string id, name;  // without a name the id is the name
  };
  struct Created {
    absl::Status status;
    LimiterClient::Fields limit;
    bool created = false;  // of OK: else it was there
    uint64_t version = 0;  // of OK: of the brand
  };
  using ReadDone = absl::AnyInvocable<void(Read)>;
  using WriteDone = absl::AnyInvocable<void(Written)>;
  using CreateDone = absl::AnyInvocable<void(Created)>;

  // `window` as ParseWindow has it. `done` runs once, maybe within the call.
  void Get(const Caller& caller, std::string_view brand, std::string_view window, ReadDone done);
  // The correction as it came; without a request id it gets one of its own.
  void Write(const Caller& caller, Correction correction, WriteDone done);
  // Idempotent by the id: sent again it changes nothing.
  void Create(const Caller& caller, NewBrand brand, CreateDone done);

 private:
  // Goes on once the request may pass, or has it refused.
  using Passed = absl::AnyInvocable<void(absl::Status, LimiterClient::Fields)>;
  void Pass(const Caller& caller, Clock::time_point deadline, Passed then);

  Reader& reader_;
  Writer& writer_;
  BrandCreator& creator_;
  LimiterClient* const limiter_;
  const Options options_;
  Random random_;
};

// Bounds of a correction.
inline constexpr int64_t kMostPosts = 1'000'000'000'000;  // up or down
inline constexpr size_t kMostNoteBytes = 1000;
inline constexpr size_t kMostRequestIdBytes = 128;
inline constexpr size_t kMostNameBytes = 200;  // of a brand
inline constexpr size_t kMostTenantBytes = 128;
absl::Status CheckCorrection(const Correction& correction);
absl::Status CheckNewBrand(const Api::NewBrand& brand);
// "" or printable ASCII.
absl::Status CheckTenant(std::string_view tenant);

}  // namespace lab::cacheapi
