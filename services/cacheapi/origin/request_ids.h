#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"
#include "services/runtime/pg/client.h"

namespace lab::cacheapi {

// The ids of requests that PostgreSQL keeps (applied_write), beside the writes themselves: what has become of a request
// whose outcome is unknown, and how long an id is remembered.
//
// A request id is the primary key of applied_write, and a write commits its effects together with the row of its id, or
// not at all. So a *fence* decides: a row with the id and a negative version. Of the write's row and the fence only one
// can ever be committed, whichever comes first, and the other one finds it there and does nothing:
// - the fence is in: the write never happens, however late its statement comes, or goes on;
// - the write's row is in: it has happened, and this is its version;
// - the write's row is there but not committed: the fence waits for the end of that transaction, which is one of these.
// No clock and no bound on delays takes part in it.
//
// A client may send a request again whose first attempt was fenced. That attempt then goes by the id that the fence
// names (NextRequestId of its version), of which the same holds, and so on: of all ids of such a chain at most one is
// ever applied, because the next one is used only by who has seen the fence before it committed.
//
// On the loop's thread. Its pool executes one statement a transaction (group_max 1): a fence may wait for a write of
// another connection, and must hold nothing that a write waits for.
class RequestIds {
 public:
  RequestIds(pg::Client& pool, uint64_t seed);

  // A fence of its own for a request: asked again, the same one is to be given.
  int64_t NewFence();
  // Decides the attempts of a request that have been made, for ever: the version that it has made, or none, when they
  // never will. Errors are those of pg::Client, and leave it undecided: ask again. `brand` is that of the request.
  using Decided = absl::AnyInvocable<void(absl::StatusOr<std::optional<uint64_t>>)>;
  void Decide(std::string_view brand, std::string_view request_id, int64_t fence, Decided done);

  // Forgets up to `most` ids that are older than this, and tells how many. A fence stays for as long as the id behind
  // it: else a request could be applied under both. Any number of processes may do so at once.
  void Forget(Nanos older, int most, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done);

 private:
  struct Request;
  void Fence(Request request, Decided done);

  pg::Client& pool_;
  const pg::Statement fence_, forget_;
  Random random_;
};

// How many fences of one request are passed; who meets more is refused.
inline constexpr int kMostFences = 64;

// The version of an applied_write that is a fence.
inline bool IsFence(int64_t version) { return version < 0; }
// The id under which a request goes on behind this fence.
std::string NextRequestId(int64_t fence);

}  // namespace lab::cacheapi
