#include "services/runtime/app/span_export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "services/runtime/app/otlp_client.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::app {

struct SpanExport::Impl : std::enable_shared_from_this<Impl> {
  Impl(async::Loop& the_loop, obs::Tracer& the_tracer, obs::Metrics& the_metrics, Options the_options)
      : loop(the_loop),
        tracer(the_tracer),
        metrics(the_metrics),
        options(std::move(the_options)),
        timer(loop.io()),
        dropped(metrics.AddCounter("trace_spans_total", "Spans by what became of them", {{"outcome", "dropped"}})),
        written(metrics.AddCounter("trace_spans_total", "Spans by what became of them", {{"outcome", "written"}})) {}

  ~Impl() {
    if (file >= 0) close(file);
  }

  absl::Status OpenFile() {
    file = open(options.file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (file < 0) {
      return absl::UnavailableError(Concat("cannot write trace.file ", options.file, ": ", std::strerror(errno)));
    }
    struct stat status {};
    if (fstat(file, &status) == 0) file_bytes = status.st_size;
    return absl::OkStatus();
  }

  void Wait() {
    timer.expires_after(options.every);
    timer.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
      if (cancelled || self->stopped) return;
      self->Export();
      self->Wait();
    });
  }

  void Export() {
    const std::vector<obs::SpanRecord> spans = tracer.Drain();
    const uint64_t lost = tracer.dropped();
    dropped.Increment(static_cast<double>(lost - std::exchange(lost_before, lost)));
    if (file >= 0) WriteFile(spans);
    if (otlp != nullptr) otlp->Add(spans);
  }

  void WriteFile(const std::vector<obs::SpanRecord>& spans) {
    std::string text;
    size_t lines = 0;
    for (const obs::SpanRecord& span : spans) {
      const std::string line = obs::SpanToJson(span, options.service) + "\n";
      if (file_bytes + static_cast<int64_t>(text.size() + line.size()) > options.max_file_bytes) break;
      text += line;
      ++lines;
    }
    std::string error;
    if (lines < spans.size()) error = Concat("trace.max_mib is reached");
    if (const ssize_t got = text.empty() ? 0 : write(file, text.data(), text.size()); got >= 0) {
      file_bytes += got;
      // A full disk may take a part; the torn line is the last one, and readers skip it.
      if (static_cast<size_t>(got) < text.size()) error = "the disk took only a part";
      written.Increment(static_cast<double>(lines));
    } else {
      error = std::strerror(errno);
      lines = 0;
    }
    if (error.empty()) return;
    dropped.Increment(static_cast<double>(spans.size() - lines));
    if (!log_limit.Allow(Clock::now())) return;
    obs::Log(obs::Level::kWarn, "trace_file_write_failed", {{"file", options.file}, {"error", error}});
  }

  async::Loop& loop;
  obs::Tracer& tracer;
  obs::Metrics& metrics;
  Options options;
  boost::asio::steady_timer timer;
  std::unique_ptr<OtlpClient> otlp;
  int file = -1;
  int64_t file_bytes = 0;
  uint64_t lost_before = 0;
  bool stopped = false;
  obs::LogLimit log_limit{std::chrono::minutes(1)};
  obs::Counter& dropped;
  obs::Counter& written;
};

SpanExport::SpanExport(async::Loop& loop, obs::Tracer& tracer, obs::Metrics& metrics, Options options)
    : impl_(std::make_shared<Impl>(loop, tracer, metrics, std::move(options))) {}

SpanExport::~SpanExport() {
  impl_->stopped = true;
  impl_->timer.cancel();
  impl_->otlp = nullptr;
}

absl::Status SpanExport::Start() {
  if (!impl_->options.file.empty()) {
    if (absl::Status opened = impl_->OpenFile(); !opened.ok()) return opened;
  }
  if (!impl_->options.otlp_endpoint.empty()) {
    absl::StatusOr<OtlpClient::Endpoint> endpoint = OtlpClient::ParseEndpoint(impl_->options.otlp_endpoint);
    if (endpoint.ok()) {
      OtlpClient::Options options;
      options.endpoint = impl_->options.otlp_endpoint;
      options.service = impl_->options.service;
      impl_->otlp = std::make_unique<OtlpClient>(impl_->loop, options, *endpoint, impl_->metrics);
    } else {
      // The variable is often set for a whole host, for programs that speak more than this one.
      obs::Log(obs::Level::kWarn, "trace_export_disabled", {{"error", std::string(endpoint.status().message())}});
    }
  }
  impl_->Wait();
  return absl::OkStatus();
}

void SpanExport::Stop(Clock::time_point deadline, std::function<void()> done) {
  impl_->stopped = true;
  impl_->timer.cancel();
  impl_->Export();
  if (impl_->otlp != nullptr) {
    impl_->otlp->Flush(deadline, std::move(done));
  } else {
    done();
  }
}

}  // namespace lab::app
