#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "bench/micro/closed_loop.h"

namespace lab::bench {

// A closed-loop client that is not ours, so that nobody has to believe in our generator:
//   PATH <host:port> <domain> <descriptor key> <keys> <outstanding> <seconds>
// runs that long, prints one line "rps=63500 p50=230us p99=690us … ok=127000 over=0 err=0" (other words are ignored)
// and ends with status 0.
absl::StatusOr<ClosedLoopResult> MeasureWithClient(const std::string& client, const ClosedLoop& what);

// Rate, quantiles and the number of calls of such a line. An error when a word is missing or no number, or when calls
// were over the limit or failed.
absl::StatusOr<ClosedLoopResult> ReadClientLine(const std::string& line);

}  // namespace lab::bench
