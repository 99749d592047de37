#include "bench/cacheapi/stores.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "bench/cacheapi/names.h"
#include "services/runtime/base/text.h"

namespace lab::bench::cacheapi {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr std::chrono::seconds kPatience{5};

// Of the window that is read when none is named.
std::string Entry(const std::string& brand) { return EntryKey(brand, kDefaultWindow); }
std::string Lease(const std::string& brand) { return LeaseKey(Entry(brand)); }

Stored Decode(const RespValue& value) {
  return value.kind == RespValue::Kind::kNil ? Stored() : ReadStored(value.text).stored;
}

absl::Status Done(const absl::StatusOr<RespValue>& reply) {
  if (reply.ok() && reply->kind == RespValue::Kind::kError) return absl::FailedPreconditionError(reply->text);
  return reply.status();
}

}  // namespace

Stores::Stores(int redis_port, int postgres_port, PgLogin login)
    : redis_(kHost, redis_port), postgres_(kHost, postgres_port, std::move(login)) {}

absl::Status Stores::MakeBrands(const std::string& prefix, uint64_t first, uint64_t count) {
  const std::string numbers = Concat(" FROM generate_series(", first, ", ", first + count - 1, ") AS i");
  return postgres_
      .Query(Concat("INSERT INTO brand SELECT '", prefix, "' || i, '", prefix, "' || i", numbers,
                    "; INSERT INTO brand_state (brand_id) SELECT '", prefix, "' || i", numbers),
             kPatience)
      .status();
}

absl::StatusOr<Stores::Cached> Stores::ReadCache(const std::string& brand) {
  const absl::StatusOr<RespValue> reply = redis_.Command({"MGET", Entry(brand), Lease(brand)}, kPatience);
  if (absl::Status done = Done(reply); !done.ok()) return done;
  if (reply->items.size() != 2) return absl::DataLossError("MGET does not answer with two values");
  return Cached{Decode(reply->items[0]), reply->items[1].kind != RespValue::Kind::kNil};
}

absl::Status Stores::Evict(const std::string& brand) { return Done(redis_.Command({"DEL", Entry(brand)}, kPatience)); }

absl::Status Stores::ExpireLease(const std::string& brand) {
  return Done(redis_.Command({"DEL", Lease(brand)}, kPatience));
}

absl::StatusOr<Stores::Row> Stores::ReadRow(const std::string& brand) {
  const absl::StatusOr<PgReply> reply =
      postgres_.Query(Concat("SELECT state.version, coalesce(correction.posts, 0), coalesce(applied.request_id, ''), "
                             "coalesce(applied.version, 0) "
                             "FROM brand_state AS state LEFT JOIN correction ON correction.brand_id = state.brand_id "
                             "LEFT JOIN applied_write AS applied ON applied.brand_id = state.brand_id AND "
                             "applied.version > 0 WHERE state.brand_id = '",
                             brand, "'"),
                      kPatience);
  if (!reply.ok()) return reply.status();
  Row row;
  for (const std::vector<std::string>& fields : reply->rows) {
    uint64_t applied = 0;
    if (fields.size() != 4 || !absl::SimpleAtoi(fields[0], &row.version) ||
        !absl::SimpleAtoi(fields[1], &row.correction) || !absl::SimpleAtoi(fields[3], &applied)) {
      return absl::DataLossError("the row of a brand cannot be read");
    }
    if (!fields[2].empty()) row.requests[fields[2]] = applied;
  }
  if (row.version == 0) return absl::NotFoundError(Concat("there is no brand ", brand));
  return row;
}

absl::StatusOr<uint64_t> Stores::Count(const char* sql) {
  const absl::StatusOr<PgReply> reply = postgres_.Query(sql, kPatience);
  if (!reply.ok()) return reply.status();
  uint64_t count = 0;
  if (reply->rows.size() != 1 || !absl::SimpleAtoi(reply->rows[0].at(0), &count)) {
    return absl::DataLossError("PostgreSQL does not answer with a number");
  }
  return count;
}

absl::StatusOr<uint64_t> Stores::ReadVersion(const std::string& brand) {
  return Count(Concat("SELECT version FROM brand_state WHERE brand_id = '", brand, "'").c_str());
}

absl::StatusOr<bool> Stores::LogPlaceIsKept() {
  const absl::StatusOr<RespValue> reply = redis_.Command({"GET", "cacheapi:cdc:cacheapi"}, kPatience);
  if (absl::Status done = Done(reply); !done.ok()) return done;
  return reply->kind != RespValue::Kind::kNil;
}

absl::StatusOr<bool> Stores::SomebodyBlocks() {
  const absl::StatusOr<uint64_t> count = Count(
      "SELECT count(*) FROM pg_stat_activity AS waiting "
      "CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocker(pid) "
      "JOIN pg_stat_activity AS holder ON holder.pid = blocker.pid "
      "WHERE waiting.wait_event_type = 'Lock' AND holder.state LIKE 'idle in transaction%'");
  if (!count.ok()) return count.status();
  return *count > 0;
}

absl::StatusOr<bool> Stores::SomebodyWaits() {
  const absl::StatusOr<uint64_t> count = Count("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
  if (!count.ok()) return count.status();
  return *count > 0;
}

}  // namespace lab::bench::cacheapi
