#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bench/judge/functions.h"
#include "bench/judge/selection.h"

// What stands behind the values of a fault and its end.
namespace lab::bench {

// What "right" is: the state of a phase before the fault.
struct Normal {
  double p99_s = 0;
  double per_bin = 0;  // in 100 ms: admitted, or, of a system without answers of that kind, ok
  double share = 0;    // the same of what was offered
  bool of_admitted = false;
};

// Whether the operation counts as what the system is there for: admitted, or ok.
bool Counts(const Op& op, bool of_admitted);

// Of the selected streams in this phase; none when nothing was answered.
std::optional<Normal> NormalOf(const Trial& trial, const Selection& streams, const Phase& phase);

// How long after the heal all is as normal again, looked at until `end_ns`, which messages call `until`.
Evidence RightAgain(const Trial& trial, const Selection& streams, const Normal& normal, int64_t heal_ns, int64_t end_ns,
                    const std::string& until);

// The increase of the sum of a part's series of this name between two moments.
Evidence IncreaseBetween(const Trial& trial, const std::string& part, const std::string& name, double begin_s,
                         double end_s);

}  // namespace lab::bench
