#include "bench/run/migrations.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "bench/run/fingerprint.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::minutes kMigration{1};
constexpr std::chrono::seconds kAnswer{10};
constexpr size_t kLongestName = 63;  // of PostgreSQL

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && !absl::ascii_isdigit(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_'; });
}

// "001_posts.sql".
bool IsMigration(std::string_view name) {
  constexpr size_t kNumber = 3;
  if (name.size() <= kNumber + 5 || name[kNumber] != '_' || name.substr(name.size() - 4) != ".sql") return false;
  const std::string_view title = name.substr(kNumber + 1, name.size() - kNumber - 5);
  return std::all_of(name.begin(), name.begin() + kNumber, [](unsigned char c) { return absl::ascii_isdigit(c); }) &&
         IsName(Concat("n", title));
}

absl::StatusOr<Schema> ReadSchema(const std::string& root, const std::string& database) {
  Schema schema{database, {}};
  const std::string below = Concat("deploy/sql/", database);
  const fs::path folder = fs::path(root) / below;
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return absl::NotFoundError(Concat("databases: there is no ", below, " with a schema of \"", database, "\""));
  }
  std::map<std::string, std::string> numbers;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name == "README.md" || name == kSeedFile) continue;
    const std::string file = Concat(below, "/", name);
    if (!IsMigration(name)) {
      return absl::InvalidArgumentError(Concat(file, ": a migration is called NNN_name.sql, as 001_posts.sql"));
    }
    const auto [other, first] = numbers.emplace(name.substr(0, 3), name);
    if (!first) return absl::InvalidArgumentError(Concat(file, ": ", other->second, " has the same number"));
    absl::StatusOr<std::string> sql = ReadFile(entry.path().string());
    if (!sql.ok()) return sql.status();
    schema.migrations.push_back({name, file, std::move(*sql)});
  }
  std::sort(schema.migrations.begin(), schema.migrations.end(),
            [](const Migration& a, const Migration& b) { return a.name < b.name; });
  return schema;
}

// Where each statement of a script begins, in bytes: after comments and blanks. What is quoted ends none.
class Statements {
 public:
  explicit Statements(std::string_view sql) : sql_(sql) {
    bool inside = false;
    while (at_ < sql_.size()) {
      const size_t begin = at_;
      if (SkipBlank() || SkipComment()) continue;
      if (!inside && sql_[at_] != ';') begins_.push_back(begin);
      inside = sql_[at_] != ';';
      if (!SkipQuoted()) ++at_;
    }
  }
  const std::vector<size_t>& begins() const { return begins_; }

 private:
  bool Starts(std::string_view text) const { return sql_.substr(at_, text.size()) == text; }
  void SkipPast(std::string_view end, size_t from) {
    const size_t found = sql_.find(end, from);
    at_ = found == std::string_view::npos ? sql_.size() : found + end.size();
  }
  bool SkipBlank() {
    if (!absl::ascii_isspace(static_cast<unsigned char>(sql_[at_]))) return false;
    ++at_;
    return true;
  }
  bool SkipComment() {
    if (Starts("--")) {
      SkipPast("\n", at_);
      return true;
    }
    if (!Starts("/*")) return false;
    at_ += 2;
    for (int depth = 1; depth > 0 && at_ < sql_.size();) {
      depth += Starts("/*") ? 1 : Starts("*/") ? -1 : 0;
      at_ += Starts("/*") || Starts("*/") ? 2 : 1;
    }
    return true;
  }
  bool SkipQuoted() {
    const char quote = sql_[at_];
    if (quote == '"') {
      SkipPast("\"", at_ + 1);
      return true;
    }
    if (quote == '\'') {
      const bool escapes = at_ > 0 && (sql_[at_ - 1] == 'E' || sql_[at_ - 1] == 'e');
      for (++at_; at_ < sql_.size() && sql_[at_] != '\''; ++at_) at_ += escapes && sql_[at_] == '\\' ? 1 : 0;
      at_ = std::min(at_ + 1, sql_.size());
      return true;
    }
    if (quote != '$') return false;
    size_t end = at_ + 1;  // $tag$
    while (end < sql_.size() && (absl::ascii_isalnum(static_cast<unsigned char>(sql_[end])) || sql_[end] == '_')) ++end;
    if (end >= sql_.size() || sql_[end] != '$') return false;
    SkipPast(sql_.substr(at_, end + 1 - at_), end + 1);
    return true;
  }

  const std::string_view sql_;
  size_t at_ = 0;
  std::vector<size_t> begins_;
};

absl::Status Apply(const Migration& migration, const std::string& sum, PgConnection& connection) {
  if (absl::Status begun = connection.Query("BEGIN", kAnswer).status(); !begun.ok()) return begun;
  if (const absl::Status applied = connection.Query(migration.sql, kMigration).status(); !applied.ok()) {
    connection.Close();
    return absl::Status(applied.code(),
                        Concat(migration.file, ":", LineOf(migration.sql, PlaceOf(applied)), ": ", applied.message()));
  }
  const std::string record =
      Concat("INSERT INTO lab_migrations (name, sha256) VALUES ('", migration.name, "', '", sum, "'); COMMIT");
  const absl::Status written = connection.Query(record, kAnswer).status();
  return written.ok() ? written : absl::Status(written.code(), Concat(migration.file, ": ", written.message()));
}

}  // namespace

absl::StatusOr<std::vector<Schema>> ReadSchemas(const std::string& root, const std::string& databases) {
  std::vector<Schema> schemas;
  for (const absl::string_view word : absl::StrSplit(databases, ',', absl::SkipWhitespace())) {
    const std::string database(absl::StripAsciiWhitespace(word));
    if (!IsName(database) || database == "lab" || database == "postgres" || database.rfind("template", 0) == 0) {
      return absl::InvalidArgumentError(Concat("databases: \"", database, "\" is no name for a database"));
    }
    absl::StatusOr<Schema> schema = ReadSchema(root, database);
    if (!schema.ok()) return schema.status();
    schemas.push_back(std::move(*schema));
  }
  return schemas;
}

absl::Status ApplySchema(const Schema& schema, PgConnection& connection) {
  const absl::StatusOr<PgReply> had = connection.Query(
      "CREATE TABLE IF NOT EXISTS lab_migrations (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz "
      "NOT "
      "NULL DEFAULT now()); SELECT name, sha256 FROM lab_migrations",
      kAnswer);
  if (!had.ok()) return had.status();
  std::map<std::string, std::string> applied;
  for (const std::vector<std::string>& row : had->rows) applied[row.at(0)] = row.at(1);
  for (const Migration& migration : schema.migrations) {
    const std::string sum = Sha256(migration.sql);
    const auto before = applied.find(migration.name);
    if (before != applied.end() && before->second == sum) continue;
    if (before != applied.end()) {
      return absl::FailedPreconditionError(Concat(migration.file, ": has changed since it was applied to ",
                                                  schema.database, "; write what is new in a file of its own"));
    }
    if (absl::Status done = Apply(migration, sum, connection); !done.ok()) return done;
  }
  return absl::OkStatus();
}

size_t LineOf(std::string_view sql, const PgErrorPlace& place) {
  size_t offset = 0;
  if (place.position > 0) {  // in characters, of which the second and later bytes are 10xxxxxx
    for (size_t characters = 0; offset < sql.size(); ++offset) {
      if ((static_cast<unsigned char>(sql[offset]) & 0xc0) != 0x80 && ++characters == place.position) break;
    }
  } else {
    const std::vector<size_t> begins = Statements(sql).begins();
    const size_t statement = static_cast<size_t>(std::max(0, place.statements));
    if (!begins.empty()) offset = begins[std::min(statement, begins.size() - 1)];
  }
  return 1 + static_cast<size_t>(
                 std::count(sql.begin(), sql.begin() + static_cast<ptrdiff_t>(std::min(offset, sql.size())), '\n'));
}

}  // namespace lab::bench
