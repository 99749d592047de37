#pragma once

#include <cstdint>
#include <vector>

#include "bench/model/histogram.h"
#include "bench/model/op.h"

namespace lab::bench {

// What became of a load, and how fast: one reading of operations for every measurement outside of a run.
struct LoadFigures {
  // Of all operations. `sent` counts what was handed to a connection, whatever became of it: what CPU is divided by.
  uint64_t sent = 0, ok = 0, failed = 0, unknown = 0, dropped = 0, limited = 0;
  int first_code = 0;  // of the first that was not ok: gRPC or HTTP status
  // Of the operations that were due in the window and ended well: nothing else has a latency.
  double ok_per_s = 0;
  Histogram latency, service;
  Histogram lag;  // of all that were due in the window and sent
};

// The window goes from `begin_s` to `end_s` of the load.
LoadFigures FiguresOf(const std::vector<Op>& ops, double begin_s, double end_s);

}  // namespace lab::bench
