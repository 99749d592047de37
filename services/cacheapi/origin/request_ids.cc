#include "services/cacheapi/origin/request_ids.h"

#include <limits>
#include <utility>

#include "absl/strings/str_format.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

// The id of a fence's successor; kForget makes the same of its version.
constexpr std::string_view kBehindFence = "behind fence ";

// What stands there: the fence ($3) that has just been put there or stood there, or another one, or the version of the
// write. NULL where the INSERT has met what was committed after this statement's snapshot: the next one sees it. NULL
// again: the id is of another brand.
constexpr char kFence[] = R"sql(
WITH fenced AS (
  INSERT INTO applied_write (request_id, brand_id, version) VALUES ($1, $2, $3::bigint)
  ON CONFLICT (request_id) DO NOTHING RETURNING version
)
SELECT coalesce((SELECT version FROM fenced),
                (SELECT version FROM applied_write WHERE request_id = $1 AND brand_id = $2))
)sql";

constexpr char kForget[] = R"sql(
DELETE FROM applied_write WHERE request_id IN (
  SELECT request_id FROM applied_write AS old
  WHERE applied_at < clock_timestamp() - make_interval(secs => $1::float8)
    AND NOT (version < 0 AND EXISTS (SELECT FROM applied_write WHERE request_id = 'behind fence ' || -old.version))
  ORDER BY applied_at LIMIT $2::int FOR UPDATE SKIP LOCKED)
)sql";

}  // namespace

// On its way along the chain of its ids.
struct RequestIds::Request {
  std::string brand, id;
  int64_t fence = 0;  // ours
  int fences = 0;     // of others, passed
  bool again = false;
};

std::string NextRequestId(int64_t fence) { return Concat(kBehindFence, -fence); }

RequestIds::RequestIds(pg::Client& pool, uint64_t seed)
    : pool_(pool), fence_("requests.fence", kFence), forget_("requests.forget", kForget), random_(seed) {}

int64_t RequestIds::NewFence() {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  return -1 - static_cast<int64_t>(random_.Below(kMost));
}

void RequestIds::Decide(std::string_view brand, std::string_view request_id, int64_t fence, Decided done) {
  Request request;
  request.brand = std::string(brand);
  request.id = std::string(request_id);
  request.fence = fence;
  Fence(std::move(request), std::move(done));
}

void RequestIds::Fence(Request request, Decided done) {
  const pg::Param params[] = {request.id, request.brand, request.fence};
  auto fenced = [this, request, done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
    if (!results.ok()) return done(results.status());
    const pg::Result row = (*results)[0];
    if (row.is_null(0, 0)) {
      if (request.again) return done(std::nullopt);
      request.again = true;
      return Fence(std::move(request), std::move(done));
    }
    const int64_t version = row.integer(0, 0);
    if (!IsFence(version)) return done(static_cast<uint64_t>(version));
    if (version == request.fence) return done(std::nullopt);
    // Nobody goes further along the chain than this (Origin::Write).
    if (++request.fences > kMostFences) return done(std::nullopt);
    request.id = NextRequestId(version);
    request.again = false;
    Fence(std::move(request), std::move(done));
  };
  pool_.Execute(fence_, params, std::move(fenced));
}

void RequestIds::Forget(Nanos older, int most, absl::AnyInvocable<void(absl::StatusOr<int64_t>)> done) {
  const std::string seconds = absl::StrFormat("%.3f", std::chrono::duration<double>(older).count());
  const pg::Param params[] = {seconds, most};
  pool_.Execute(forget_, params, [done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
    if (!results.ok()) return done(results.status());
    done((*results)[0].affected());
  });
}

}  // namespace lab::cacheapi
