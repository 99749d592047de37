#include "services/runtime/pg/pgoutput.h"

#include <utility>

#include "services/runtime/base/text.h"

namespace lab::pg {
namespace {

// PostgreSQL counts microseconds from 2000-01-01.
constexpr int64_t kEpochUs = 946'684'800'000'000;

absl::Status Broken(std::string_view what) { return absl::InvalidArgumentError(Concat("not of pgoutput: ", what)); }

}  // namespace

// Big-endian numbers and zero-terminated texts; what is not there reads as zero, and ok() tells.
class PgOutput::Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  uint64_t Number(size_t width) {
    const std::string_view taken = Take(width);
    uint64_t number = 0;
    for (const char c : taken) number = number << 8 | static_cast<uint8_t>(c);
    return number;
  }
  char Letter() {
    const std::string_view taken = Take(1);
    return taken.empty() ? '\0' : taken[0];
  }
  std::string_view Text() {
    const size_t end = bytes_.find('\0');
    if (end == std::string_view::npos) {
      ok_ = false;
      return {};
    }
    const std::string_view text = bytes_.substr(0, end);
    bytes_.remove_prefix(end + 1);
    return text;
  }
  std::string_view Take(size_t size) {
    if (size > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  bool ok() const { return ok_; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

absl::Status PgOutput::Read(std::string_view message, bool& committed) {
  committed = false;
  Bytes bytes(message);
  const char type = bytes.Letter();
  switch (type) {
    case 'B':
      transaction_ = {};
      taken_ = 0;
      open_ = true;
      return absl::OkStatus();
    case 'C': {
      bytes.Take(1 + 8);  // flags, the commit's own place
      transaction_.end = bytes.Number(8);
      transaction_.committed_unix_us = static_cast<int64_t>(bytes.Number(8)) + kEpochUs;
      committed = open_ && bytes.ok();
      open_ = false;
      return committed ? absl::OkStatus() : Broken("a commit without a begin");
    }
    case 'R':
      return ReadRelation(bytes);
    case 'I':
    case 'U':
    case 'D':
    case 'T':
      if (!open_) return Broken("a change outside of a transaction");
      taken_ += message.size();
      if (taken_ > most_bytes_) {
        transaction_.too_large = true;
        transaction_.changes = std::vector<Change>();
        return absl::OkStatus();
      }
      return type == 'T' ? ReadTruncate(bytes) : ReadChange(type, bytes);
    case 'O':  // origin
    case 'Y':  // type
    case 'M':  // logical message
      return absl::OkStatus();
    default:
      return Broken("an unknown message");
  }
}

absl::Status PgOutput::ReadRelation(Bytes& bytes) {
  const auto id = static_cast<uint32_t>(bytes.Number(4));
  const std::string_view schema = bytes.Text();
  Table table;
  table.name = Concat(schema, ".", bytes.Text());
  bytes.Letter();  // replica identity
  const uint64_t columns = bytes.Number(2);
  for (uint64_t i = 0; i < columns && bytes.ok(); ++i) {
    bytes.Letter();  // whether it is part of the key
    table.columns.emplace_back(bytes.Text());
    bytes.Take(4 + 4);  // type and its modifier
  }
  if (!bytes.ok()) return Broken("a table cut short");
  tables_[id] = std::move(table);
  return absl::OkStatus();
}

absl::Status PgOutput::ReadChange(char type, Bytes& bytes) {
  const auto table = tables_.find(static_cast<uint32_t>(bytes.Number(4)));
  if (table == tables_.end()) return Broken("a change of an unknown table");
  Change change;
  change.table = table->second.name;
  change.kind = type == 'I' ? Change::Kind::kInsert : type == 'U' ? Change::Kind::kUpdate : Change::Kind::kDelete;
  char row = bytes.Letter();
  if (type == 'U' && (row == 'K' || row == 'O')) {  // what was there before is of no interest
    std::map<std::string, std::string> before;
    if (absl::Status read = ReadRow(bytes, table->second, before); !read.ok()) return read;
    row = bytes.Letter();
  }
  const bool right = type == 'D' ? row == 'K' || row == 'O' : row == 'N';
  if (!right) return Broken("a row of an unknown kind");
  if (absl::Status read = ReadRow(bytes, table->second, change.columns); !read.ok()) return read;
  transaction_.changes.push_back(std::move(change));
  return absl::OkStatus();
}

absl::Status PgOutput::ReadTruncate(Bytes& bytes) {
  const uint64_t count = bytes.Number(4);
  bytes.Letter();  // options
  for (uint64_t i = 0; i < count && bytes.ok(); ++i) {
    const auto table = tables_.find(static_cast<uint32_t>(bytes.Number(4)));
    if (table == tables_.end()) return Broken("an unknown table was truncated");
    Change change;
    change.kind = Change::Kind::kTruncate;
    change.table = table->second.name;
    transaction_.changes.push_back(std::move(change));
  }
  return bytes.ok() ? absl::OkStatus() : Broken("a truncation cut short");
}

absl::Status PgOutput::ReadRow(Bytes& bytes, const Table& table, std::map<std::string, std::string>& columns) {
  const uint64_t count = bytes.Number(2);
  if (count > table.columns.size()) return Broken("a row of more columns than its table has");
  for (uint64_t i = 0; i < count && bytes.ok(); ++i) {
    const char kind = bytes.Letter();
    if (kind == 'n' || kind == 'u') continue;
    if (kind != 't' && kind != 'b') return Broken("a value of an unknown kind");
    const auto size = static_cast<size_t>(bytes.Number(4));
    columns[table.columns[i]] = std::string(bytes.Take(size));
  }
  return bytes.ok() ? absl::OkStatus() : Broken("a row cut short");
}

}  // namespace lab::pg
