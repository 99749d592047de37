#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/observe/socket.h"
#include "services/runtime/base/time.h"

// As much of PostgreSQL's protocol 3.0 as probes, faults and migrations need: simple queries of a user who needs no
// password, each step with a deadline (https://www.postgresql.org/docs/current/protocol.html).
namespace lab::bench {

struct PgLogin {
  std::string user = "lab";
  std::string database = "postgres";
  std::string application = "lab";  // as pg_stat_activity shows it
};

std::string FormatPgStartup(const PgLogin& login);
std::string FormatPgQuery(std::string_view sql);

// What the server says of the last statement of a query that has rows, and of the last one of all.
struct PgReply {
  std::vector<std::vector<std::string>> rows;  // as text; NULL as ""
  std::string tag;                             // "INSERT 0 1"
  int statements = 0;                          // that were carried out
};

// Of an error that the server gave: its code ("55P03", appendix A of the manual), where in the query it lies (from 1;
// 0: not told) and how many statements before it were carried out. "" and 0 for any other status.
struct PgErrorPlace {
  std::string sqlstate;
  size_t position = 0;
  int statements = 0;
};
PgErrorPlace PlaceOf(const absl::Status& status);

// One query at a time; connects when needed, and again after any failure that left the connection in doubt.
// Errors as of Socket; of the server's: UNAVAILABLE it starts, recovers or ends (57P01 … 57P03), RESOURCE_EXHAUSTED it
// has no connection left (53300), FAILED_PRECONDITION everything else, in its own words and with its code. An error
// ends a transaction that is open, and the connection with it. One thread at a time.
class PgConnection {
 public:
  PgConnection(std::string host, int port, PgLogin login = {});

  // Several statements are one transaction, unless they say otherwise. At most 16 MiB of answers.
  absl::StatusOr<PgReply> Query(std::string_view sql, Nanos timeout);
  void Close() { socket_.reset(); }  // ends what is open in it
  bool open() const { return socket_.has_value(); }
  int server_pid() const { return server_pid_; }  // of the process that answers; 0 before the first answer

 private:
  struct Message {
    char type = 0;
    std::string body;
  };
  absl::Status Open(Clock::time_point deadline);
  absl::StatusOr<PgReply> Ask(std::string_view sql, Clock::time_point deadline);
  absl::StatusOr<Message> Receive(Clock::time_point deadline);

  const std::string host_;
  const int port_;
  const PgLogin login_;
  std::optional<Socket> socket_;
  std::string received_;         // and not read yet
  bool in_transaction_ = false;  // then nothing is asked again on another connection
  int server_pid_ = 0;
};

}  // namespace lab::bench
