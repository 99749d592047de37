#pragma once

#include <cstdint>
#include <vector>

#include "bench/judge/limiter_oracle.h"
#include "bench/judge/selection.h"

namespace lab::bench {

// The decisions on one key of one stream.
struct History {
  uint16_t stream = 0;
  uint32_t key = 0;
  std::vector<Decision> decisions;
};

// The histories of the selected streams. Decisions outside of the selected time are there, not `judged`.
std::vector<History> HistoriesOf(const Trial& trial, const Selection& selection);
// Those of the decisions that are judged.
std::vector<Decision> Judged(const std::vector<Decision>& decisions);

}  // namespace lab::bench
