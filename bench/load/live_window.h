#pragma once

#include <cstdint>

#include "bench/load/generator.h"
#include "bench/model/histogram.h"
#include "bench/model/op.h"

namespace lab::bench {

// Counts what happens within a second, for the live view.
class LiveWindow {
 public:
  explicit LiveWindow(int64_t begin_ns) : begin_ns_(begin_ns) {}

  void Offered() { ++offered_; }
  void Dropped() { ++dropped_; }
  void Sent(int64_t lag_ns, int64_t at_ns) {
    lag_.Add(lag_ns);
    in_flight_ns_ -= static_cast<double>(at_ns - begin_ns_);
  }
  void Ended(const Op& op);
  // What was sent is no longer in flight.
  void Left(int64_t at_ns) { in_flight_ns_ += static_cast<double>(at_ns - begin_ns_); }

  // Rates since the begin of the window; then a new window begins.
  LiveLoad Close(int64_t now_ns, uint64_t in_flight);

 private:
  int64_t begin_ns_;
  uint64_t offered_ = 0, dropped_ = 0, ok_ = 0, errors_ = 0, admitted_ = 0;
  Histogram latency_, lag_;
  // The time that operations were in flight in this window: each from its sending, or the begin of the window, to its
  // end, or that of the window. What is still in flight at the end is added by Close.
  double in_flight_ns_ = 0;
};

}  // namespace lab::bench
