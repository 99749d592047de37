#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/observe/pg_wire.h"

namespace lab::bench {

// The schema of a database: deploy/sql/<database>/NNN_name.sql, in the order of their numbers.
struct Migration {
  std::string name;  // "001_posts.sql"
  std::string file;  // as errors name it: "deploy/sql/insights/001_posts.sql"
  std::string sql;
};
inline constexpr const char* kSeedFile = "seed.sql";  // beside them: what fills the tables (seeds.h)
struct Schema {
  std::string database;
  std::vector<Migration> migrations;
};

// Of databases separated by commas: "insights, orders"; none of "". INVALID_ARGUMENT for a name that is none, for a
// file that is not called so, and for a number that is there twice; NOT_FOUND for a database without a folder.
absl::StatusOr<std::vector<Schema>> ReadSchemas(const std::string& root, const std::string& databases);

// Applies those that the database has not had yet, each in a transaction, and writes it down in the table
// lab_migrations. The first that fails is named with file and line; nothing of it stays. FAILED_PRECONDITION too when
// one that was applied has changed since.
absl::Status ApplySchema(const Schema& schema, PgConnection& connection);

// The line, from 1, in which a query went wrong: that of its error's position, else that in which the statement begins.
size_t LineOf(std::string_view sql, const PgErrorPlace& place);

}  // namespace lab::bench
