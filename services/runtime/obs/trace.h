#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "services/runtime/base/time.h"

// W3C trace context (Recommendation 2021-11-23) and spans. Not the OpenTelemetry SDK: just enough to follow a request
// through processes, written as one JSON line a span and exported as OTLP/HTTP JSON by the app module.
namespace lab::obs {

struct TraceContext {
  std::array<uint8_t, 16> trace_id{};
  std::array<uint8_t, 8> span_id{};
  bool sampled = false;
  bool valid() const;  // neither id is all zero
};

// "00-<32 hex>-<16 hex>-<2 hex>", lower case, or what begins like it in a later version; an invalid context for
// anything else (a malformed header is ignored, not an error).
TraceContext ParseTraceparent(std::string_view header);
std::string FormatTraceparent(const TraceContext& context);

int64_t UnixNanos();  // wall clock, for the times of a span

enum class SpanKind { kInternal = 1, kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5 };

struct SpanRecord {
  TraceContext context;
  std::array<uint8_t, 8> parent_span_id{};  // all zero: a root
  std::string_view name;                    // a literal: "ratelimit.should_rate_limit"
  SpanKind kind = SpanKind::kInternal;
  int64_t start_unix_ns = 0;
  int64_t end_unix_ns = 0;
  bool error = false;
};

// Where finished spans go: a bounded ring (oldest dropped and counted), drained by whoever exports. Thread-safe.
class Tracer {
 public:
  struct Options {
    double sample_ratio = 0.001;  // of roots; a sampled parent is always followed
    size_t capacity = 4096;
  };
  Tracer();
  explicit Tracer(Options options);
  ~Tracer();

  // A child of `parent`, or, where that is invalid, a new root that is sampled by ratio. Costs a few ns when unsampled.
  TraceContext StartSpan(const TraceContext& parent);
  // Keeps the record when its context is sampled.
  void Finish(const SpanRecord& record);
  // Takes all kept spans.
  std::vector<SpanRecord> Drain();
  uint64_t dropped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// One span as a JSON line, ids in hex: {"service","name","kind","trace_id","span_id","parent_span_id" (not for a root),
// "start_unix_ns","duration_ns","error"}; and a batch as an OTLP/HTTP JSON body (opentelemetry-proto
// ExportTraceServiceRequest: hex ids, nanoseconds as strings).
std::string SpanToJson(const SpanRecord& span, std::string_view service);
std::string SpansToOtlp(const std::vector<SpanRecord>& spans, std::string_view service);

}  // namespace lab::obs
