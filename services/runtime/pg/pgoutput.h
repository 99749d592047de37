#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace lab::pg {

// A place in the write-ahead log: bytes since its beginning.
using Lsn = uint64_t;

// A row that a committed transaction has changed.
struct Change {
  enum class Kind : uint8_t { kInsert, kUpdate, kDelete, kTruncate };
  Kind kind = Kind::kInsert;
  std::string table;  // "public.brand_state"
  // Its columns as text, NULL and large values that have not changed left out: of the new row; of a deleted one what
  // identifies it (REPLICA IDENTITY). None of a truncated table.
  std::map<std::string, std::string> columns;
};

struct CommittedTransaction {
  Lsn end = 0;                    // behind its commit: what is confirmed when it has been taken care of
  int64_t committed_unix_us = 0;  // on the server's clock
  std::vector<Change> changes;    // in the order in which they were made
  bool too_large = false;         // more than is kept of one: `changes` is empty, though there were some
};

// Reads the messages of the output plugin pgoutput, protocol version 1 (PostgreSQL documentation, "Logical Replication
// Message Formats"). Plain: takes bytes, does no I/O. What the server repeats after a reconnect comes again: whoever
// applies it compares versions.
class PgOutput {
 public:
  // `most_bytes`: of one transaction, as messages; in memory they take several times as much. A larger one is read to
  // its end and told without its changes.
  explicit PgOutput(size_t most_bytes = kMostBytes) : most_bytes_(most_bytes) {}
  // One message. True when it ended a transaction, which is then in `transaction()`. INVALID_ARGUMENT for bytes that
  // are no message, or of a table that was not described.
  absl::Status Read(std::string_view message, bool& committed);
  CommittedTransaction& transaction() { return transaction_; }
  bool open() const { return open_; }  // a transaction has begun and not ended
  static constexpr size_t kMostBytes = 64 << 20;

 private:
  struct Table {
    std::string name;
    std::vector<std::string> columns;
  };
  class Bytes;
  absl::Status ReadRelation(Bytes& bytes);
  absl::Status ReadChange(char type, Bytes& bytes);
  absl::Status ReadTruncate(Bytes& bytes);
  absl::Status ReadRow(Bytes& bytes, const Table& table, std::map<std::string, std::string>& columns);

  size_t most_bytes_;
  std::map<uint32_t, Table> tables_;
  CommittedTransaction transaction_;
  size_t taken_ = 0;  // bytes of the transaction so far
  bool open_ = false;
};

}  // namespace lab::pg
