#include "bench/load/live_window.h"

#include <algorithm>

namespace lab::bench {

void LiveWindow::Ended(const Op& op) {
  latency_.Add(op.latency_ns());
  ++(op.outcome == Outcome::kOk ? ok_ : errors_);
  if (op.answer == Answer::kAdmitted) ++admitted_;
}

LiveLoad LiveWindow::Close(int64_t now_ns, uint64_t in_flight) {
  const double length_s = std::max<double>(static_cast<double>(now_ns - begin_ns_) / 1e9, 1e-9);
  const auto rate = [length_s](uint64_t count) { return static_cast<double>(count) / length_s; };
  const auto seconds = [](int64_t ns) { return static_cast<double>(ns) / 1e9; };
  LiveLoad live;
  live.offered_per_s = rate(offered_);
  live.achieved_per_s = rate(ok_);
  live.errors_per_s = rate(errors_);
  live.dropped_per_s = rate(dropped_);
  live.admitted_per_s = rate(admitted_);
  live.p50_s = seconds(latency_.Quantile(0.5));
  live.p99_s = seconds(latency_.Quantile(0.99));
  live.p999_s = seconds(latency_.Quantile(0.999));
  live.max_s = seconds(latency_.max());
  live.lag_p99_s = seconds(lag_.Quantile(0.99));
  live.in_flight = in_flight;
  in_flight_ns_ += static_cast<double>(in_flight) * static_cast<double>(now_ns - begin_ns_);
  live.in_flight_mean = std::max(0.0, in_flight_ns_ / 1e9 / length_s);
  *this = LiveWindow(now_ns);
  return live;
}

}  // namespace lab::bench
