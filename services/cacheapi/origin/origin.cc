#include "services/cacheapi/origin/origin.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "services/cacheapi/origin/request_ids.h"
#include "services/runtime/base/json.h"
#include "services/runtime/base/text.h"

namespace lab::cacheapi {
namespace {

// One statement is one snapshot: version, correction and aggregate belong together. $3 are seconds of sleep, in the
// middle of the work so that its connection is taken all the while.
constexpr char kRead[] = R"sql(
SELECT state.version, coalesce(correction.posts, 0), insight.posts, insight.authors, insight.sentiment,
       insight.likes_median, insight.likes_p99, insight.arabic,
       extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000000,
       extract(epoch FROM clock_timestamp() - state.changed_at) * 1000000
FROM brand_state AS state
LEFT JOIN correction ON correction.brand_id = state.brand_id
CROSS JOIN LATERAL (
  SELECT count(*) AS posts, count(DISTINCT author) AS authors, coalesce(avg(sentiment), 0)::float8 AS sentiment,
         coalesce(percentile_disc(0.5) WITHIN GROUP (ORDER BY likes), 0) AS likes_median,
         coalesce(percentile_disc(0.99) WITHIN GROUP (ORDER BY likes), 0) AS likes_p99,
         count(*) FILTER (WHERE language = 'ar') AS arabic
  FROM post
  WHERE post.brand_id = state.brand_id AND published_at >= statement_timestamp() - make_interval(hours => $2::int)
    AND published_at <= statement_timestamp()
) AS insight
CROSS JOIN LATERAL pg_sleep($3::float8 + 0 * insight.posts) AS slept
WHERE state.brand_id = $1
)sql";

// Applied at most once: who has applied this request gets the version of then, and behind a fence its version
// (request_ids.h). NULL: the id is of a request that asks for something else. $5: take the correction away. $6: leave a
// row for a relay.
constexpr char kWrite[] = R"sql(
WITH asked AS (
  SELECT md5(concat_ws(' ', $5::bool, $2::bigint, $3::text))::uuid AS digest
), state AS (
  SELECT brand_id, version FROM brand_state WHERE brand_id = $1 FOR UPDATE
), fresh AS (
  INSERT INTO applied_write (request_id, brand_id, version, digest)
  SELECT $4, brand_id, version + 1, digest FROM state, asked
  ON CONFLICT (request_id) DO NOTHING
  RETURNING brand_id, version
), written AS (
  INSERT INTO correction (brand_id, posts, note)
  SELECT brand_id, $2::bigint, $3 FROM fresh WHERE NOT $5::bool
  ON CONFLICT (brand_id) DO UPDATE SET posts = excluded.posts, note = excluded.note, written_at = clock_timestamp()
), removed AS (
  DELETE FROM correction USING fresh WHERE correction.brand_id = fresh.brand_id AND $5::bool
), bumped AS (
  UPDATE brand_state SET version = fresh.version, changed_at = clock_timestamp()
  FROM fresh WHERE brand_state.brand_id = fresh.brand_id
), noted AS (
  INSERT INTO outbox (brand_id, version) SELECT brand_id, version FROM fresh WHERE $6::bool
)
SELECT coalesce((SELECT version FROM fresh),
                (SELECT version FROM applied_write, asked
                 WHERE request_id = $4 AND brand_id = $1 AND (version < 0 OR applied_write.digest = asked.digest)))
FROM state
)sql";

constexpr char kBrands[] = "SELECT id FROM brand WHERE id > $1 ORDER BY id LIMIT $2::int";

double Number(std::string_view text) {
  double number = 0;
  return absl::SimpleAtod(absl::string_view(text.data(), text.size()), &number) ? number : 0;
}

std::string SecondsText(Nanos duration) {
  return absl::StrFormat("%.6f", std::chrono::duration<double>(duration).count());
}

std::string Body(std::string_view brand, Window window, const pg::Result& row) {
  const int64_t posts = row.integer(0, 2) + row.integer(0, 1);
  return absl::StrFormat(
      "{\"brand\":%s,\"window\":\"%s\",\"version\":%d,\"posts\":%d,\"correction\":%d,\"authors\":%d,"
      "\"sentiment\":%.2f,\"likes_median\":%d,\"likes_p99\":%d,\"arabic\":%d}",
      JsonString(brand), std::string(Name(window)), row.integer(0, 0), posts, row.integer(0, 1), row.integer(0, 3),
      Number(row.text(0, 4)), row.integer(0, 5), row.integer(0, 6), row.integer(0, 7));
}

obs::Counter& Reads(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_origin_reads_total", "Reads of the database by how they ended",
                            {{"outcome", outcome}});
}
obs::Counter& Writes(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_origin_writes_total", "Writes to the database by how they ended",
                            {{"outcome", outcome}});
}

}  // namespace

// One way of a write to its end; the request may go on under another id.
struct Origin::Attempt {
  pg::Transaction* transaction = nullptr;  // null: one of its own
  Correction correction;
  bool again = false;  // of this id: what the first time could not be seen
  int fences = 0;      // passed
};

Origin::Metrics::Metrics(obs::Metrics& m)
    : found(Reads(m, "found")),
      unknown(Reads(m, "unknown")),
      read_errors(Reads(m, "error")),
      written(Writes(m, "ok")),
      write_unknown(Writes(m, "unknown")),
      write_errors(Writes(m, "error")),
      duration(m.AddHistogram("cacheapi_origin_read_duration_seconds",
                              "Of a read in the database, without the wait for a connection", obs::LatencyBuckets())) {}

Origin::Origin(pg::Client& reads, pg::Client& writes, Options options, obs::Metrics& metrics)
    : reads_(reads),
      writes_(writes),
      options_(options),
      metrics_(metrics),
      read_("insights.read", kRead),
      write_("insights.write", kWrite),
      brands_("insights.brands", kBrands) {}

pg::Client::Callback Origin::Taking(std::string_view brand, Window window, ReadDone done) {
  return
      [this, brand = std::string(brand), window, done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
        if (!results.ok()) {
          metrics_.read_errors.Increment();
          return done(results.status());
        }
        const pg::Result row = (*results)[0];
        Insight insight;
        insight.exists = row.rows() == 1;
        (insight.exists ? metrics_.found : metrics_.unknown).Increment();
        if (insight.exists) {
          insight.version = static_cast<uint64_t>(row.integer(0, 0));
          insight.took = Micros(static_cast<int64_t>(Number(row.text(0, 8))));
          insight.changed_ago = Micros(static_cast<int64_t>(Number(row.text(0, 9))));
          insight.body = Body(brand, window, row);
          metrics_.duration.Observe(std::chrono::duration<double>(insight.took).count());
        }
        done(std::move(insight));
      };
}

void Origin::Read(std::string_view brand, Window window, ReadDone done) {
  const std::string delay = SecondsText(options_.delay);
  const pg::Param params[] = {brand, static_cast<int64_t>(Length(window).count()), delay};
  reads_.Execute(read_, params, Taking(brand, window, std::move(done)));
}

void Origin::ReadIn(pg::Transaction& transaction, std::string_view brand, Window window, ReadDone done) {
  const pg::Param params[] = {brand, static_cast<int64_t>(Length(window).count()), "0"};
  transaction.Execute(read_, params, Taking(brand, window, std::move(done)));
}

absl::StatusOr<uint64_t> Origin::Written(const absl::StatusOr<pg::Results>& results) {
  if (!results.ok()) {
    (pg::OutcomeUnknown(results.status()) ? metrics_.write_unknown : metrics_.write_errors).Increment();
    return results.status();
  }
  return WrittenRow((*results)[0]);
}

absl::StatusOr<uint64_t> Origin::WrittenRow(const pg::Result& row) {
  if (row.rows() == 0) return absl::NotFoundError("there is no such brand");
  if (row.is_null(0, 0)) return absl::AlreadyExistsError("this request id is of another write");
  if (IsFence(row.integer(0, 0))) return absl::AlreadyExistsError("this request has been given up");
  metrics_.written.Increment();
  return static_cast<uint64_t>(row.integer(0, 0));
}

// Views of the correction.
std::array<pg::Param, 6> Origin::ParamsOf(const Correction& correction) const {
  return {correction.brand,
          correction.posts,
          correction.note,
          correction.request_id,
          correction.remove ? "true" : "false",
          options_.outbox ? "true" : "false"};
}

void Origin::Write(const Correction& correction, WriteDone done) {
  Attempt attempt;
  attempt.correction = correction;
  Try(std::move(attempt), std::move(done));
}

void Origin::WriteIn(pg::Transaction& transaction, const Correction& correction, WriteDone done) {
  Attempt attempt;
  attempt.transaction = &transaction;
  attempt.correction = correction;
  Try(std::move(attempt), std::move(done));
}

void Origin::Try(Attempt attempt, WriteDone done) {
  const auto params = ParamsOf(attempt.correction);
  auto tried = [this, attempt, done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
    // Without its COMMIT it has not happened, whatever became of the statement.
    if (attempt.transaction != nullptr && pg::OutcomeUnknown(results.status())) {
      results = absl::UnavailableError(results.status().message());
    }
    if (!results.ok() || (*results)[0].rows() == 0) return done(Written(results));
    const pg::Result row = (*results)[0];
    // The same request, sent twice at once: it waited for the row, which the other one has written meanwhile, with a
    // snapshot from before that. A new one shows how it ended.
    if (row.is_null(0, 0) && !attempt.again) {
      attempt.again = true;
      return Try(std::move(attempt), std::move(done));
    }
    const int64_t version = row.integer(0, 0);
    if (row.is_null(0, 0) || !IsFence(version)) return done(Written(results));
    if (++attempt.fences > kMostFences) {
      metrics_.write_errors.Increment();
      return done(absl::AlreadyExistsError("this request has been given up too often: send it with a new id"));
    }
    attempt.correction.request_id = NextRequestId(version);
    attempt.again = false;
    Try(std::move(attempt), std::move(done));
  };
  if (attempt.transaction != nullptr) return attempt.transaction->Execute(write_, params, std::move(tried));
  writes_.Execute(write_, params, std::move(tried), attempt.correction.brand);
}

void Origin::WriteAll(absl::Span<const Correction> corrections, WriteAllDone done) {
  std::vector<size_t> order(corrections.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return corrections[a].brand < corrections[b].brand; });
  std::vector<std::array<pg::Param, 6>> params;
  params.reserve(corrections.size());  // the steps view them
  std::vector<pg::Step> steps;
  for (const size_t index : order) {
    params.push_back(ParamsOf(corrections[index]));
    steps.push_back({write_, params.back()});
  }
  const std::string_view first = order.empty() ? std::string_view() : corrections[order[0]].brand;
  auto written = [this, order = std::move(order), done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
    if (!results.ok()) return done(Written(results).status());
    std::vector<absl::StatusOr<uint64_t>> all(order.size());
    for (size_t i = 0; i < order.size(); ++i) all[order[i]] = WrittenRow((*results)[i]);
    done(std::move(all));
  };
  writes_.Transact(steps, std::move(written), first);
}

void Origin::Brands(std::string_view after, int most,
                    absl::AnyInvocable<void(absl::StatusOr<std::vector<std::string>>)> done) {
  const pg::Param params[] = {after, static_cast<int64_t>(most)};
  reads_.Execute(brands_, params, [done = std::move(done)](absl::StatusOr<pg::Results> results) mutable {
    if (!results.ok()) return done(results.status());
    std::vector<std::string> brands;
    const pg::Result rows = (*results)[0];
    for (int i = 0; i < rows.rows(); ++i) brands.emplace_back(rows.text(i, 0));
    done(std::move(brands));
  });
}

}  // namespace lab::cacheapi
