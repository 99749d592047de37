#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"

namespace lab::app {

class HttpPost;

// Posts spans to a collector as OTLP/HTTP JSON (opentelemetry-specification, protocol/exporter.md), one batch at a
// time. The collector never matters to the service: the queue is bounded (oldest dropped), an attempt too; after a
// failure that may pass (no connection, 429, 5xx) the batch is sent again after a growing pause, after any other it is
// dropped. On the loop's thread.
//
// Metrics: trace_spans_total{outcome=exported|rejected|dropped}, trace_export_failures_total (attempts).
class OtlpClient {
 public:
  struct Options {
    std::string endpoint;  // "http://host:4318", as in OTEL_EXPORTER_OTLP_ENDPOINT; "/v1/traces" is appended
    std::string service;
    size_t max_queue = 8192;  // spans
    size_t max_batch = 512;
    Nanos timeout = std::chrono::seconds(5);  // of one attempt
    Nanos first_pause = std::chrono::seconds(1);
    Nanos longest_pause = std::chrono::seconds(30);
  };
  struct Endpoint {
    std::string host;
    int port = 4318;
    std::string path;  // "/v1/traces"
  };
  // INVALID_ARGUMENT for anything but http://host[:port][/path].
  static absl::StatusOr<Endpoint> ParseEndpoint(std::string_view text);

  OtlpClient(async::Loop& loop, Options options, Endpoint endpoint, obs::Metrics& metrics);
  ~OtlpClient();

  void Add(const std::vector<obs::SpanRecord>& spans);
  // Sends what is queued without waiting for the next pause; `done` runs once it is sent, has failed or the deadline is
  // there. Once.
  void Flush(Clock::time_point deadline, std::function<void()> done);
  size_t queued() const { return queue_.size() + batch_.size(); }

 private:
  void MaybeSend();
  void Sent(int status, const std::string& error);  // status 0: no answer
  void MaybeFlushed();
  void Drop(size_t spans);

  async::Loop& loop_;
  Options options_;
  Endpoint endpoint_;
  std::deque<obs::SpanRecord> queue_;
  std::vector<obs::SpanRecord> batch_;  // on its way, or waiting to be sent again
  std::shared_ptr<HttpPost> post_;      // shared with its callbacks in flight
  Clock::time_point not_before_{};
  Nanos pause_;
  std::function<void()> flushed_;
  Clock::time_point flush_deadline_{};
  bool flush_failed_ = false;
  obs::LogLimit log_limit_{std::chrono::minutes(1)};
  obs::Counter& exported_;
  obs::Counter& rejected_;
  obs::Counter& dropped_;
  obs::Counter& failures_;
};

}  // namespace lab::app
