#include "bench/explore/stores.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "services/runtime/base/text.h"

namespace lab::bench::explore {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr std::chrono::seconds kPatience{5};

// Of the window that is read when none is named.
std::string KeyOf(const std::string& brand) { return Concat("insights:{", brand, "}:w=24h"); }
std::string LeaseOf(const std::string& brand) { return "lease:" + KeyOf(brand); }

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < 8; ++i) number |= static_cast<uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  return number;
}

Stored Decode(const RespValue& value) {
  Stored stored;
  if (value.kind == RespValue::Kind::kNil) return stored;
  const std::string_view bytes = value.text;
  if (bytes.substr(0, 3) == std::string_view("LC\1", 3) && bytes.size() >= 48) {
    stored = {Stored::Kind::kValue, LittleEndian(bytes.substr(4))};
  } else if (bytes.substr(0, 3) == std::string_view("LT\1", 3) && bytes.size() == 11) {
    stored = {Stored::Kind::kTombstone, LittleEndian(bytes.substr(3))};
  } else {
    stored.kind = Stored::Kind::kOther;
  }
  return stored;
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
  const absl::StatusOr<RespValue> reply = redis_.Command({"MGET", KeyOf(brand), LeaseOf(brand)}, kPatience);
  if (absl::Status done = Done(reply); !done.ok()) return done;
  if (reply->items.size() != 2) return absl::DataLossError("MGET does not answer with two values");
  return Cached{Decode(reply->items[0]), reply->items[1].kind != RespValue::Kind::kNil};
}

absl::Status Stores::Evict(const std::string& brand) { return Done(redis_.Command({"DEL", KeyOf(brand)}, kPatience)); }

absl::Status Stores::ExpireLease(const std::string& brand) {
  return Done(redis_.Command({"DEL", LeaseOf(brand)}, kPatience));
}

absl::StatusOr<Stores::Row> Stores::ReadRow(const std::string& brand) {
  const absl::StatusOr<PgReply> reply = postgres_.Query(
      Concat("SELECT state.version, coalesce(correction.posts, 0), coalesce(applied.request_id, '') "
             "FROM brand_state AS state LEFT JOIN correction ON correction.brand_id = state.brand_id "
             "LEFT JOIN applied_write AS applied ON applied.brand_id = state.brand_id WHERE state.brand_id = '",
             brand, "'"),
      kPatience);
  if (!reply.ok()) return reply.status();
  Row row;
  for (const std::vector<std::string>& fields : reply->rows) {
    if (fields.size() != 3 || !absl::SimpleAtoi(fields[0], &row.version) ||
        !absl::SimpleAtoi(fields[1], &row.correction)) {
      return absl::DataLossError("the row of a brand cannot be read");
    }
    if (!fields[2].empty()) row.requests.push_back(fields[2]);
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

}  // namespace lab::bench::explore
