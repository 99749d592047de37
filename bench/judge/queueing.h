#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/labfile/lab.h"
#include "bench/model/trial.h"

// What queueing theory says of each phase of a trial, beside what was measured: a check of the measurement, and how
// much room a part had. Shown, never judged.
namespace lab::bench {

struct PhaseQueueing {
  std::string phase;
  // Little's law (Operations Research 9(3), 1961): what is in flight is the rate times the time each takes. Rate and
  // time come from the operations, sent to done; in flight is what the generator added up while it sent and received.
  // Both rest on the same clock: what they show is a record that lacks operations, not a wrong clock. Over the whole
  // seconds within the phase.
  double sent_per_s = 0;
  double mean_s = 0;                // from sending to the end of an operation
  std::optional<double> in_flight;  // counted
  double expected() const { return sent_per_s * mean_s; }
  bool mismatch = false;                // they differ by more than kLittleTolerance, and by more than kLittleLeast
  std::string why;                      // why the two cannot be compared
  std::map<std::string, double> cores;  // part → CPU it used, cores; replicas together
  std::map<std::string, double> bottlenecks;  // "ratelimit.redis.max_outstanding" → highest use of the bound, 1 = full
};

inline constexpr double kLittleTolerance = 0.1;
inline constexpr double kLittleLeast = 0.1;  // operations: below it a mismatch says nothing

// One for each phase in which something was sent.
std::vector<PhaseQueueing> QueueingOf(const Trial& trial, const Lab& lab);

}  // namespace lab::bench
