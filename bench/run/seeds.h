#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/observe/pg_wire.h"
#include "bench/run/migrations.h"

namespace lab::bench {

// What a database holds before anybody uses it: deploy/sql/<database>/seed.sql with its parameters filled in. The file
// declares each in a comment of its own and names it as psql's variables are named, so that psql -v can apply it too:
//
//   -- :brands = 1000 (1 … 1000000) brand-0 is the largest
//   … generate_series(0, :brands - 1) …
struct Seed {
  std::string database;
  std::string file;  // as errors name it
  std::string call;  // "insights(brands=1000, posts=200000)", every parameter in it
  std::string sql;
};

// Of "insights(brands=1000), orders()"; none of "". INVALID_ARGUMENT for what is not written so, a database that is not
// among these schemas, a parameter that there is not and a value out of its range; NOT_FOUND without a seed.sql.
absl::StatusOr<std::vector<Seed>> ReadSeeds(const std::string& root, const std::string& text,
                                            const std::vector<Schema>& schemas);

// The parameters of one file in place of their names; "::type" and names that are not declared stay.
absl::StatusOr<std::string> FillSeed(const std::string& sql, const std::vector<std::pair<std::string, double>>& given,
                                     std::string* call);

// In one transaction; then the tables are vacuumed, frozen and analysed, so that what comes reads and writes nothing
// but its own. What fails is named with file and line.
absl::Status ApplySeed(const Seed& seed, PgConnection& connection);

// The day (UTC) on which a seed applied now is made: seeds place rows relative to it. Days of the Unix epoch.
int64_t SeedDay();

}  // namespace lab::bench
