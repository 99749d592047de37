#include "services/runtime/app/lifecycle.h"

#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <utility>
#include <vector>

#include "services/runtime/base/text.h"

namespace lab::app {
namespace {

constexpr Nanos kGrace = std::chrono::seconds(1);

// Ends the process from a signal handler, so it works while the loop's thread hangs.
void EndNow(int) {
  constexpr char kText[] = "{\"level\":\"error\",\"event\":\"stop_cut_short\"}\n";
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, kText, sizeof(kText) - 1);
  _exit(kExitCutShort);
}

// From now on a second SIGTERM or SIGINT ends the process, and so does a stop that takes longer than `longest`,
// wherever it hangs.
void GuardStop(Nanos longest) {
  struct sigaction action {};
  action.sa_handler = EndNow;
  for (const int signal : {SIGTERM, SIGINT, SIGALRM}) sigaction(signal, &action, nullptr);
  const auto micros = std::chrono::duration_cast<Micros>(longest).count();
  itimerval timer{};
  timer.it_value.tv_sec = micros / 1'000'000;
  timer.it_value.tv_usec = micros % 1'000'000;
  setitimer(ITIMER_REAL, &timer, nullptr);
}

obs::Tracer::Options TracerOptions(const Settings& settings) {
  obs::Tracer::Options options;
  options.sample_ratio = settings.trace_sample_ratio;
  return options;
}

SpanExport::Options SpanOptions(const Definition& definition, const Settings& settings) {
  SpanExport::Options options;
  options.service = definition.name;
  options.file = settings.trace_file;
  options.max_file_bytes = int64_t{settings.trace_max_mib} << 20;
  options.otlp_endpoint = settings.otlp_endpoint;
  return options;
}

http::Server::Options HttpOptions(const Settings& settings, obs::Metrics& metrics) {
  http::Server::Options options = settings.http;
  options.metrics = &metrics;
  return options;
}

}  // namespace

void Settings::Declare(Schema& schema) {
  constexpr Nanos kHour = std::chrono::hours(1);
  schema.String("http.host", &http.host, "Address that HTTP listens on; 0.0.0.0 for all");
  schema.Int("http.port", &http.port, 0, 65535,
             "Port of /metrics, /healthz, /readyz and the HTTP API; 0 takes a free one");
  schema.Int("http.max_connections", &http.max_connections, 1, 100'000, "Connections at a time; more get 503");
  schema.Duration("http.idle_timeout", &http.idle_timeout, Millis(10), kHour,
                  "Bound on the pause between requests, on a body and on writing a response");
  schema.Duration("http.header_timeout", &http.header_timeout, Millis(10), kHour,
                  "Bound on the arrival of a request's headers");
  schema.OneOf(
      "log.level", {"debug", "info", "warn", "error"}, static_cast<size_t>(log_level),
      [this](size_t index) { log_level = static_cast<obs::Level>(index); }, "Log lines from this level on");
  schema.Duration("stop.deadline", &stop_deadline, Millis(10), kHour, "Longest time from SIGTERM to the end");
  schema.String("trace.file", &trace_file, "Sampled spans are appended here, a JSON line each; empty: nowhere");
  schema.Int("trace.max_mib", &trace_max_mib, 1, 1 << 20, "Largest size of trace.file, MiB; further spans are dropped");
  schema.Number("trace.sample_ratio", &trace_sample_ratio, 0, 1,
                "Share of new traces that are sampled; the caller's decision is always followed");
  failpoints.Declare(schema);
}

Lifecycle::Lifecycle(const Definition& definition, const Settings& settings)
    : definition_(definition),
      settings_(settings),
      tracer_(TracerOptions(settings)),
      spans_(loop_, tracer_, metrics_, SpanOptions(definition, settings)),
      http_(loop_, HttpOptions(settings, metrics_)),
      environment_{loop_, metrics_, tracer_, http_, MakeFailpoints()},
      signals_(loop_.io()),
      stop_timer_(loop_.io()) {}

failpoint::Controller* Lifecycle::MakeFailpoints() {
  if (!settings_.failpoints.enabled) return nullptr;
  return &failpoints_.emplace(loop_, metrics_, static_cast<uint64_t>(settings_.failpoints.seed));
}

int Lifecycle::Run() {
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  WaitForSignal();
  loop_.Post([this] {
    if (stopping_) return;  // a signal came first
    absl::Status started;
    try {
      started = Start();
    } catch (const std::exception& thrown) {
      started = absl::InternalError(thrown.what());
    }
    if (started.ok()) {
      AnnounceReady();
      return;
    }
    obs::Log(obs::Level::kError, "service_start_failed", {{"error", std::string(started.message())}});
    exit_status_ = kExitUnavailable;
    GuardStop(settings_.stop_deadline + kGrace);
    loop_.Stop();
  });
  loop_.Run();
  service_.reset();
  return exit_status_;
}

absl::Status Lifecycle::Start() {
  AddAdminPages();
  if (failpoints_) {
    AddFailpointPages(http_, *failpoints_);
    settings_.failpoints.Arm(*failpoints_);
  }
  if (absl::Status started = spans_.Start(); !started.ok()) return started;
  service_ = definition_.make(environment_);
  if (absl::Status started = service_->Start(); !started.ok()) return started;
  return http_.Start();
}

void Lifecycle::AddAdminPages() {
  http_.Handle("GET", "/metrics", [this](const http::Request&, http::Server::Respond respond) {
    respond({200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Text(), {}});
  });
  http_.Handle("GET", "/healthz", [](const http::Request&, http::Server::Respond respond) {
    respond({200, "text/plain; charset=utf-8", "ok\n", {}});
  });
  http_.Handle("GET", "/readyz", [this](const http::Request&, http::Server::Respond respond) {
    const bool ready = !stopping_ && service_ != nullptr && service_->Ready();
    respond({ready ? 200 : 503, "text/plain; charset=utf-8", ready ? "ready\n" : "not ready\n", {}});
  });
}

void Lifecycle::AnnounceReady() {
  const std::vector<std::pair<std::string, int>> ports = service_->Ports();
  std::vector<obs::LogField> fields = {{"http_port", http_.port()}, {"pid", static_cast<int>(getpid())}};
  for (const auto& [name, port] : ports) fields.emplace_back(name, port);
  // Whatever the level: whoever asked for free ports learns them from this line.
  obs::SetLogLevel(obs::Level::kInfo);
  obs::LogFields(obs::Level::kInfo, "service_ready", fields);
  obs::SetLogLevel(settings_.log_level);
}

void Lifecycle::WaitForSignal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (!error) Stop(signal);
  });
}

void Lifecycle::Stop(int signal) {
  stopping_ = true;
  const Clock::time_point began = Clock::now();
  stop_at_ = began + settings_.stop_deadline;
  boost::system::error_code ignored;
  signals_.clear(ignored);
  GuardStop(settings_.stop_deadline + kGrace);
  obs::Log(obs::Level::kInfo, "service_stopping",
           {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"},
            {"deadline_ms", std::chrono::duration_cast<Millis>(settings_.stop_deadline).count()}});
  stop_timer_.expires_at(stop_at_);
  stop_timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    obs::Log(obs::Level::kError, "stop_cut_short");
    exit_status_ = kExitCutShort;
    loop_.Stop();
  });
  // A tenth of the time is left for the HTTP connections and the last spans.
  const Clock::time_point service_at = began + settings_.stop_deadline * 9 / 10;
  if (service_ == nullptr) {
    StopHttp();
    return;
  }
  service_->Stop(service_at, [this] { loop_.Post([this] { StopHttp(); }); });
}

void Lifecycle::StopHttp() {
  const Clock::time_point now = Clock::now();
  http_.Drain(now + (stop_at_ - now) / 2, [this] { StopSpans(); });
}

void Lifecycle::StopSpans() {
  const Clock::time_point now = Clock::now();
  spans_.Stop(now + (stop_at_ - now) * 9 / 10, [this] {
    stop_timer_.cancel();
    obs::Log(obs::Level::kInfo, "service_stopped");
    loop_.Stop();
  });
}

}  // namespace lab::app
