#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"

namespace lab::app {

// Takes the finished spans from the tracer once a second and writes them to a file (a JSON line each) and to an OTLP
// collector, where those are asked for. Neither can hold up the service: what does not fit or fails is counted
// (trace_spans_total{outcome="dropped"}) and logged once a minute at most. On the loop's thread.
class SpanExport {
 public:
  struct Options {
    std::string service;
    std::string file;  // "": none. Appended to
    int64_t max_file_bytes = 64 << 20;
    std::string otlp_endpoint;  // "": none
    Nanos every = std::chrono::seconds(1);
  };
  SpanExport(async::Loop& loop, obs::Tracer& tracer, obs::Metrics& metrics, Options options);
  ~SpanExport();

  // An error when the file cannot be opened. An endpoint that cannot be used is logged, and the service runs without.
  absl::Status Start();
  // Writes and sends what is left; `done` runs once, by the deadline.
  void Stop(Clock::time_point deadline, std::function<void()> done);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with the timer's handler in flight
};

}  // namespace lab::app
