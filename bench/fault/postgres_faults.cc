// Faults of a PostgreSQL that are asked of the server itself; each on a connection of its own, the receipt on another.

#include <algorithm>

#include "absl/strings/numbers.h"
#include "bench/fault/fault.h"
#include "bench/observe/pg_wire.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

constexpr Millis kWait{20};    // for a lock that somebody holds
constexpr Millis kAnswer{50};  // of a server that is well
constexpr Millis kCommand{500};
constexpr Millis kLockTime{2000};                // until those have ended that hold the table
constexpr std::chrono::seconds kAfterLength{2};  // the server itself ends a holder that nobody healed
constexpr const char* kDatabase = "lab";
constexpr const char* kCanary = "lab_canary";

constexpr const char* kLockNotAvailable = "55P03";
constexpr const char* kTooManyConnections = "53300";

class PostgresFault : public Fault {
 public:
  explicit PostgresFault(const FaultRequest& request)
      : options_(request.options),
        length_(request.length),
        hand_("127.0.0.1", request.target.port("postgres"), {.database = Option("database", kDatabase)}),
        probe_("127.0.0.1", request.target.port("postgres"), {.database = Option("database", kDatabase)}) {}

 protected:
  std::string Option(const char* name, const std::string& fallback) const {
    const auto found = options_.find(name);
    return found == options_.end() ? fallback : found->second;
  }

  const std::map<std::string, std::string> options_;
  const Nanos length_;
  PgConnection hand_, probe_;
};

// A transaction that holds a lock and does nothing more
// (https://www.postgresql.org/docs/current/explicit-locking.html): ACCESS EXCLUSIVE on a table keeps readers and
// writers waiting, EXCLUSIVE writers; FOR UPDATE on rows their writers. It ends with its connection, and by the
// server's own clock when that stays.
class Lock : public PostgresFault {
 public:
  using PostgresFault::PostgresFault;

  absl::Status Prepare() override {
    if (table() == kCanary) {
      const absl::Status made =
          probe_.Query(Concat("CREATE TABLE IF NOT EXISTS ", kCanary, " (id int PRIMARY KEY)"), kCommand).status();
      if (!made.ok()) return made;
    }
    // The lock must be to be had before, or its absence later would prove nothing.
    const absl::Status had = TryLock();
    return PlaceOf(had).sqlstate == kLockNotAvailable
               ? absl::FailedPreconditionError(Concat(What(), " is locked before the fault"))
               : had;
  }

  absl::Status Apply() override {
    const int64_t most_ms =
        std::min<int64_t>(std::chrono::ceil<Millis>(length_ + kAfterLength).count(), 24 * 3'600'000);
    const absl::Status begun = hand_
                                   .Query(Concat("BEGIN; SET LOCAL lock_timeout = ", kLockTime.count(),
                                                 "; SET LOCAL idle_in_transaction_session_timeout = ", most_ms),
                                          kCommand)
                                   .status();
    if (!begun.ok()) return begun;
    const absl::StatusOr<PgReply> locked = hand_.Query(LockStatement(exclusive_mode()), kLockTime + kCommand);
    if (!locked.ok()) return locked.status();
    if (!row().empty() && locked->rows.empty()) {
      hand_.Close();
      return absl::FailedPreconditionError(Concat("there is no row of ", table(), " with ", row()));
    }
    return absl::OkStatus();
  }

  // Waited for twice in a row: what the load itself locks is not held that long.
  std::optional<std::string> Seen() override {
    for (int look = 0; look < 2; ++look) {
      if (PlaceOf(TryLock()).sqlstate != kLockNotAvailable) return std::nullopt;
    }
    return Concat(row().empty() && writes_only() ? "a write to " : "", What(), " waited ", kWait.count(),
                  " ms for a lock, twice");
  }

  absl::Status Heal() override {
    hand_.Close();
    return absl::OkStatus();
  }
  bool Healed() override { return TryLock().ok(); }

 private:
  std::string table() const { return Option("table", kCanary); }
  std::string row() const { return Option("row", ""); }
  bool writes_only() const { return Option("blocks", "all") == "writes"; }
  std::string What() const { return row().empty() ? table() : Concat("the row of ", table(), " with ", row()); }
  const char* exclusive_mode() const { return writes_only() ? "EXCLUSIVE" : "ACCESS EXCLUSIVE"; }
  std::string LockStatement(const char* mode) const {
    if (row().empty()) return Concat("LOCK TABLE ", table(), " IN ", mode, " MODE");
    return Concat("SELECT 1 FROM ", table(), " WHERE ", row(), " FOR UPDATE");
  }
  // As a reader, or a writer, of it would; given back at once.
  absl::Status TryLock() {
    const std::string question = Concat("BEGIN; SET LOCAL lock_timeout = ", kWait.count(), "; ",
                                        LockStatement(writes_only() ? "ROW EXCLUSIVE" : "ACCESS SHARE"), "; ROLLBACK");
    return probe_.Query(question, kWait + kAnswer).status();
  }
};

// ALTER DATABASE … CONNECTION LIMIT: new connections beyond it are refused, for all but superusers. Those that are
// there are ended, unless they are to stay.
class ConnectionLimit : public PostgresFault {
 public:
  // The hand is in another database: a limit would keep it out of this one.
  explicit ConnectionLimit(const FaultRequest& request)
      : PostgresFault(request), outside_("127.0.0.1", request.target.port("postgres")) {}

  absl::Status Prepare() override {
    const absl::StatusOr<PgReply> limit =
        outside_.Query(Concat("SELECT datconnlimit FROM pg_database WHERE datname = '", database(), "'"), kCommand);
    if (!limit.ok()) return limit.status();
    if (limit->rows.empty()) return absl::FailedPreconditionError(Concat("there is no database ", database()));
    before_ = limit->rows.at(0).at(0);
    return Connect();
  }
  absl::Status Apply() override {
    if (absl::Status set = Limit(Option("limit", "0")); !set.ok()) return set;
    if (Option("sessions", "end") == "stay") return absl::OkStatus();
    // Chosen first: a function in the list of what is selected is called for rows that OFFSET leaves out, too.
    return outside_
        .Query(Concat("WITH beyond AS MATERIALIZED (SELECT pid FROM pg_stat_activity "
                      "WHERE backend_type = 'client backend' AND datname = '",
                      database(), "' ORDER BY backend_start OFFSET ", Option("limit", "0"),
                      ") SELECT pg_terminate_backend(pid) FROM beyond"),
               kCommand)
        .status();
  }
  std::optional<std::string> Seen() override {
    if (PlaceOf(Connect()).sqlstate != kTooManyConnections) return std::nullopt;
    return Concat("a connection to database ", database(), " is refused (", kTooManyConnections, ")");
  }
  absl::Status Heal() override { return before_.empty() ? absl::OkStatus() : Limit(before_); }
  bool Healed() override { return Connect().ok(); }

 private:
  std::string database() const { return Option("database", kDatabase); }
  absl::Status Limit(const std::string& limit) {
    return outside_.Query(Concat("ALTER DATABASE ", database(), " CONNECTION LIMIT ", limit), kCommand).status();
  }
  // As a client would, that has no connection yet.
  absl::Status Connect() {
    probe_.Close();
    const absl::Status answered = probe_.Query("SELECT 1", kAnswer).status();
    probe_.Close();
    return answered;
  }

  PgConnection outside_;
  std::string before_;
};

template <typename T>
std::unique_ptr<Fault> Make(const FaultRequest& request) {
  return std::make_unique<T>(request);
}

}  // namespace

std::vector<FaultKind> PostgresFaults() {
  const FaultOption database{"database", kDatabase, "which of its databases", {}, &WrongName};
  return {
      {"postgres",
       "lock",
       "a transaction holds a table, or rows of it, and does nothing; healed by its end",
       false,
       {database,
        {"table", kCanary, "which; the fallback is one of the probe's own", {}, &WrongTable},
        {"row", "", "a condition, as brand = 'x': only rows for which it holds, against writers", {}},
        {"blocks", "all", "who waits for the table", {"all", "writes"}}},
       &Make<Lock>},
      {"postgres",
       "connection_limit",
       "the database takes no more connections (53300); healed by the old limit",
       false,
       {database,
        {"limit", "0", "connections that it takes while it lasts", {}, &WrongCount},
        {"sessions", "end", "what becomes of those beyond it that are there", {"end", "stay"}}},
       &Make<ConnectionLimit>},
  };
}

}  // namespace lab::bench
