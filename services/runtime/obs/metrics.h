#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Registry;
}

namespace lab::obs {

using Counter = prometheus::Counter;
using Gauge = prometheus::Gauge;
using Histogram = prometheus::Histogram;
using Labels = std::map<std::string, std::string>;

// The metrics of one process (prometheus-cpp). Handles are made at start and kept: a look-up costs 100 ns and more, an
// increment 7. Labels come from small closed sets, never from ids. Names: <area>_<what>_<unit>[_total], base units.
// Handles are thread-safe and live as long as the registry. Asking twice for the same name and labels gives the same
// handle; a name with two types, or a name or label that Prometheus does not know, throws (at start, by design).
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Counter& AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& AddHistogram(const std::string& name, const std::string& help, const std::vector<double>& upper_bounds,
                          const Labels& labels = {});
  // Prometheus text format 0.0.4, with process_cpu_seconds_total, process_resident_memory_bytes, process_threads,
  // process_open_fds, process_max_fds and process_start_time_seconds. Thread-safe.
  std::string Text() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// 50 us … 10 s, for the duration of calls and store operations, in seconds.
const std::vector<double>& LatencyBuckets();

}  // namespace lab::obs
