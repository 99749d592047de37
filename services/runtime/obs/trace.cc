#include "services/runtime/obs/trace.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <mutex>
#include <random>

#include "services/runtime/base/json.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"

namespace lab::obs {
namespace {

constexpr size_t kTraceparentSize = 55;

template <size_t N>
bool AllZero(const std::array<uint8_t, N>& id) {
  return std::all_of(id.begin(), id.end(), [](uint8_t byte) { return byte == 0; });
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;  // upper case too: the Recommendation wants lower case
}

template <size_t N>
bool ParseHex(std::string_view text, std::array<uint8_t, N>& bytes) {
  for (size_t i = 0; i < N; ++i) {
    const int high = HexDigit(text[2 * i]), low = HexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return true;
}

template <size_t N>
std::string Hex(const std::array<uint8_t, N>& bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * N);
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

// Ids need no repeatable seed: two processes of one run must never give the same.
Random& IdSource() {
  thread_local Random random([] {
    std::random_device device;
    return (static_cast<uint64_t>(device()) << 32) | device();
  }());
  return random;
}

template <size_t N>
void FillId(std::array<uint8_t, N>& id) {
  do {
    for (size_t at = 0; at < N; at += sizeof(uint64_t)) {
      const uint64_t word = IdSource().Next();
      std::memcpy(id.data() + at, &word, sizeof(word));
    }
  } while (AllZero(id));
}

std::string_view KindName(SpanKind kind) {
  switch (kind) {
    case SpanKind::kInternal:
      return "internal";
    case SpanKind::kServer:
      return "server";
    case SpanKind::kClient:
      return "client";
    case SpanKind::kProducer:
      return "producer";
    case SpanKind::kConsumer:
      return "consumer";
  }
  return "internal";
}

void AppendOtlpSpan(std::string& out, const SpanRecord& span) {
  out += Concat("{\"traceId\":\"", Hex(span.context.trace_id), "\",\"spanId\":\"", Hex(span.context.span_id), "\"");
  if (!AllZero(span.parent_span_id)) out += Concat(",\"parentSpanId\":\"", Hex(span.parent_span_id), "\"");
  out += ",\"name\":";
  AppendJson(out, span.name);
  out += Concat(",\"kind\":", static_cast<int>(span.kind), ",\"startTimeUnixNano\":\"", span.start_unix_ns,
                "\",\"endTimeUnixNano\":\"", span.end_unix_ns, "\"");
  if (span.error) out += ",\"status\":{\"code\":2}";
  out += '}';
}

}  // namespace

bool TraceContext::valid() const { return !AllZero(trace_id) && !AllZero(span_id); }

TraceContext ParseTraceparent(std::string_view header) {
  if (header.size() < kTraceparentSize || header[2] != '-' || header[35] != '-' || header[52] != '-') return {};
  std::array<uint8_t, 1> version{}, flags{};
  TraceContext context;
  if (!ParseHex(header.substr(0, 2), version) || !ParseHex(header.substr(3, 32), context.trace_id) ||
      !ParseHex(header.substr(36, 16), context.span_id) || !ParseHex(header.substr(53, 2), flags)) {
    return {};
  }
  // Later versions may append fields (section 3.2.4); 255 is forbidden.
  const bool longer = header.size() > kTraceparentSize;
  if (version[0] == 0xff || (longer && (version[0] == 0 || header[kTraceparentSize] != '-'))) return {};
  context.sampled = (flags[0] & 1) != 0;
  return context.valid() ? context : TraceContext{};
}

std::string FormatTraceparent(const TraceContext& context) {
  return Concat("00-", Hex(context.trace_id), "-", Hex(context.span_id), context.sampled ? "-01" : "-00");
}

int64_t UnixNanos() {
  return std::chrono::duration_cast<Nanos>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Tracer::Impl {
  Options options;
  mutable std::mutex mutex;
  std::deque<SpanRecord> finished;
  uint64_t dropped = 0;
};

Tracer::Tracer() : Tracer(Options()) {}
Tracer::Tracer(Options options) : impl_(std::make_unique<Impl>()) { impl_->options = options; }
Tracer::~Tracer() = default;

TraceContext Tracer::StartSpan(const TraceContext& parent) {
  TraceContext context;
  FillId(context.span_id);
  if (parent.valid()) {
    context.trace_id = parent.trace_id;
    context.sampled = parent.sampled;
    return context;
  }
  FillId(context.trace_id);
  context.sampled = IdSource().Uniform() < impl_->options.sample_ratio;
  return context;
}

void Tracer::Finish(const SpanRecord& record) {
  if (!record.context.sampled) return;
  const std::lock_guard lock(impl_->mutex);
  if (impl_->finished.size() >= impl_->options.capacity) {
    ++impl_->dropped;
    if (impl_->finished.empty()) return;
    impl_->finished.pop_front();
  }
  impl_->finished.push_back(record);
}

std::vector<SpanRecord> Tracer::Drain() {
  std::deque<SpanRecord> taken;
  {
    const std::lock_guard lock(impl_->mutex);
    taken.swap(impl_->finished);
  }
  return {taken.begin(), taken.end()};
}

uint64_t Tracer::dropped() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->dropped;
}

std::string SpanToJson(const SpanRecord& span, std::string_view service) {
  std::string line = Concat("{\"service\":", JsonString(service), ",\"name\":", JsonString(span.name), ",\"kind\":\"",
                            KindName(span.kind), "\",\"trace_id\":\"", Hex(span.context.trace_id), "\",\"span_id\":\"",
                            Hex(span.context.span_id), "\"");
  if (!AllZero(span.parent_span_id)) line += Concat(",\"parent_span_id\":\"", Hex(span.parent_span_id), "\"");
  line += Concat(",\"start_unix_ns\":", span.start_unix_ns, ",\"duration_ns\":", span.end_unix_ns - span.start_unix_ns,
                 ",\"error\":", span.error ? "true}" : "false}");
  return line;
}

std::string SpansToOtlp(const std::vector<SpanRecord>& spans, std::string_view service) {
  std::string body = Concat("{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":",
                            "{\"stringValue\":", JsonString(service),
                            "}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"lab\"},\"spans\":[");
  bool first = true;
  for (const SpanRecord& span : spans) {
    if (!first) body += ',';
    first = false;
    AppendOtlpSpan(body, span);
  }
  body += "]}]}]}";
  return body;
}

}  // namespace lab::obs
