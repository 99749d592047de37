#pragma once

#include <string_view>

#include "absl/status/status.h"

namespace lab::pg {

// What an error of the server means for the operation, by its SQLSTATE (PostgreSQL documentation, appendix A).
enum class Fault {
  kStatement,  // the statement or its parameters: it fails again
  kConflict,   // deadlock, serialization failure, a lock that others hold for longer than lock_timeout, a statement
               // whose preparation was rolled back: send it again
  kRefusal,    // the server as it is now: read-only, starting, shutting down, out of disk or connections
  kTooLate,    // cancelled by statement_timeout
};
Fault FaultOf(std::string_view sqlstate);

// ALREADY_EXISTS, FAILED_PRECONDITION, DEADLINE_EXCEEDED or INVALID_ARGUMENT as client.h has them, with both texts.
absl::Status StatusOf(std::string_view sqlstate, std::string_view message, std::string_view statement);

}  // namespace lab::pg
