#include "services/runtime/app/otlp_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "services/runtime/app/http_post.h"
#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

absl::Status BadEndpoint(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(
      Concat("\"", text.substr(0, 200), "\" ", why, "; write http://host:4318 (OTLP over plain HTTP)"));
}

obs::Counter& Spans(obs::Metrics& metrics, const std::string& outcome) {
  return metrics.AddCounter("trace_spans_total", "Spans by what became of them", {{"outcome", outcome}});
}

}  // namespace

absl::StatusOr<OtlpClient::Endpoint> OtlpClient::ParseEndpoint(std::string_view text) {
  constexpr std::string_view kScheme = "http://";
  if (text.substr(0, kScheme.size()) != kScheme) return BadEndpoint(text, "does not begin with http://");
  const bool odd = std::any_of(text.begin(), text.end(), [](char c) { return c <= ' ' || c == 0x7f || c == '@'; });
  if (odd) return BadEndpoint(text, "has a character that does not belong in it");
  std::string_view rest = text.substr(kScheme.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  std::string_view authority = rest.substr(0, slash);
  std::string_view path = rest.substr(slash);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  Endpoint endpoint;
  endpoint.path = Concat(path, "/v1/traces");
  const size_t bracket = authority.rfind(']');  // of an IPv6 address
  const size_t colon = authority.rfind(':');
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    if (!absl::SimpleAtoi(View(authority.substr(colon + 1)), &endpoint.port) || endpoint.port < 1 ||
        endpoint.port > 65535) {
      return BadEndpoint(text, "has no right port");
    }
    authority = authority.substr(0, colon);
  }
  if (authority.size() > 2 && authority.front() == '[' && authority.back() == ']') {
    authority = authority.substr(1, authority.size() - 2);
  }
  if (authority.empty()) return BadEndpoint(text, "names no host");
  endpoint.host = authority;
  return endpoint;
}

OtlpClient::OtlpClient(async::Loop& loop, Options options, Endpoint endpoint, obs::Metrics& metrics)
    : loop_(loop),
      options_(std::move(options)),
      endpoint_(std::move(endpoint)),
      pause_(options_.first_pause),
      exported_(Spans(metrics, "exported")),
      rejected_(Spans(metrics, "rejected")),
      dropped_(Spans(metrics, "dropped")),
      failures_(metrics.AddCounter("trace_export_failures_total", "Attempts to export spans that failed")) {}

OtlpClient::~OtlpClient() {
  if (post_ != nullptr) post_->Cancel();
}

void OtlpClient::Drop(size_t spans) { dropped_.Increment(static_cast<double>(spans)); }

void OtlpClient::Add(const std::vector<obs::SpanRecord>& spans) {
  queue_.insert(queue_.end(), spans.begin(), spans.end());
  if (queue_.size() > options_.max_queue) {
    const size_t beyond = queue_.size() - options_.max_queue;
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(beyond));
    Drop(beyond);
  }
  MaybeSend();
}

void OtlpClient::MaybeSend() {
  const Clock::time_point now = Clock::now();
  const bool flushing = flushed_ != nullptr;
  if (post_ != nullptr || queued() == 0 || (now < not_before_ && !flushing)) return;
  if (batch_.empty()) {
    const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), options_.max_batch));
    batch_.assign(queue_.begin(), end);
    queue_.erase(queue_.begin(), end);
  }
  const Clock::time_point deadline = now + options_.timeout;
  post_ = std::make_shared<HttpPost>(loop_, endpoint_.host, endpoint_.port,
                                     [this](int status, const std::string& error) { Sent(status, error); });
  post_->Start(endpoint_.path, obs::SpansToOtlp(batch_, options_.service),
               flushing ? std::min(deadline, flush_deadline_) : deadline);
}

void OtlpClient::Sent(int status, const std::string& error) {
  post_ = nullptr;
  const double spans = static_cast<double>(batch_.size());
  if (status >= 200 && status < 300) {
    exported_.Increment(spans);
    batch_.clear();
    pause_ = options_.first_pause;
    not_before_ = {};
    MaybeSend();
    MaybeFlushed();
    return;
  }
  failures_.Increment();
  const bool may_pass = status == 0 || status == 429 || status >= 500;
  if (!may_pass) {
    rejected_.Increment(spans);
    batch_.clear();
  }
  const Clock::time_point now = Clock::now();
  not_before_ = now + pause_;
  pause_ = std::min(pause_ * 2, options_.longest_pause);
  if (log_limit_.Allow(now)) {
    obs::Log(obs::Level::kWarn, "trace_export_failed",
             {{"endpoint", options_.endpoint},
              {"error", status == 0 ? error : Concat("HTTP status ", status)},
              {"failures_not_logged", log_limit_.suppressed()},
              {"queued_spans", queued()}});
  }
  flush_failed_ = true;
  MaybeFlushed();
}

void OtlpClient::Flush(Clock::time_point deadline, std::function<void()> done) {
  flushed_ = std::move(done);
  flush_deadline_ = deadline;
  flush_failed_ = false;
  if (post_ != nullptr) post_->Shorten(deadline);
  MaybeSend();
  MaybeFlushed();
}

void OtlpClient::MaybeFlushed() {
  if (flushed_ == nullptr || (queued() > 0 && !flush_failed_)) return;
  if (queued() > 0) Drop(queued());
  queue_.clear();
  batch_.clear();
  std::exchange(flushed_, nullptr)();
}

}  // namespace lab::app
