#pragma once

#include <cstdint>

#include "bench/load/generator.h"
#include "bench/model/histogram.h"
#include "bench/model/op.h"

namespace lab::bench {

// Counts what happens within a second, for the live view.
class LiveWindow {
 public:
  explicit LiveWindow(int64_t begin_ns, uint64_t in_flight = 0)
      : begin_ns_(begin_ns), held_(in_flight), held_since_ns_(begin_ns) {}

  void Offered() { ++offered_; }
  void Dropped() { ++dropped_; }
  void Sent(int64_t lag_ns) { lag_.Add(lag_ns); }
  void Ended(const Op& op);
  // So many calls are held now: counted, not derived from the times of operations, which it checks (Little's law).
  void Held(uint64_t in_flight, int64_t now_ns) {
    held_ns_ += static_cast<double>(held_) * static_cast<double>(now_ns - held_since_ns_);
    held_ = in_flight;
    held_since_ns_ = now_ns;
  }

  // Rates since the begin of the window; then a new window begins.
  LiveLoad Close(int64_t now_ns, uint64_t in_flight);

 private:
  int64_t begin_ns_;
  uint64_t offered_ = 0, dropped_ = 0, ok_ = 0, errors_ = 0, admitted_ = 0;
  Histogram latency_, lag_;
  uint64_t held_;
  int64_t held_since_ns_;
  double held_ns_ = 0;  // calls x time
};

}  // namespace lab::bench
