#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace lab::bench::explore {

// What was derived before anything ran: which race is open in which mode, and why (labs/cache-consistency/matrix.yaml).
struct Cell {
  bool open = false;
  bool tried = true;  // false: no cast of this mode can show it
  std::string because;
};
using Row = std::map<int, Cell>;            // by race
using Matrix = std::map<std::string, Row>;  // by mode: the variant's name

// modes:
//   delete-before-update:
//     1: closed, the delete takes the lease away
//     2: open, who reads between the delete and the commit stores the old row
//     12: untried, no cast makes a brand
// Each row has a cell for each race of Races(). All errors at once as INVALID_ARGUMENT, a line each with file and line.
absl::StatusOr<Matrix> ParseMatrix(const std::string& text, const std::string& file);
absl::StatusOr<Matrix> LoadMatrix(const std::string& file);

}  // namespace lab::bench::explore
