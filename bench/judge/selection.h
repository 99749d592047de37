#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bench/judge/functions.h"

// Which operations of a trial a call speaks of.
namespace lab::bench {

struct Selection {
  // By phase: operations intended in [begin, end) of one of the windows, which begin `after` their phase. By fault:
  // sent at or after the begin and done at or before the end of one window, so that what was answered before the fault
  // was seen or after it was healed is certainly not counted.
  std::vector<std::pair<int64_t, int64_t>> windows_ns;  // disjoint, ascending
  bool by_fault = false;
  std::vector<bool> streams;  // index into Trial::streams
  bool reads = true;          // whatever asks for something, be it there or not
  bool writes = true;
  uint64_t keys = 0;    // of the selected streams together
  double length_s = 0;  // of the windows together
  std::string why;      // why nothing can be selected: a phase or a receipt is missing; "" when it can

  bool InStream(const Op& op) const {
    return op.stream < streams.size() && streams[op.stream] && (op.ask == Ask::kWrite ? writes : reads);
  }
  bool Intended(const Op& op) const;  // intended in a window, of a selected stream and kind
  bool Within(const Op& op) const;    // by fault: sent and done inside; by phase: Intended
};

// From the selectors phase=, fault=, stream= and ops=; without the first two the whole timeline.
Selection Select(const Trial& trial, const Lab& lab, const Selectors& selectors);

const Phase* FindPhase(const Trial& trial, const std::string& name);
int64_t ToNanos(double seconds);
// "6.123 s (pause+0.12 s)": a moment with its place on the timeline.
std::string Place(const Trial& trial, int64_t at_ns);

}  // namespace lab::bench
