#pragma once

#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>

#include "services/runtime/app/app.h"
#include "services/runtime/app/failpoints.h"
#include "services/runtime/app/span_export.h"
#include "services/runtime/failpoint/controller.h"
#include "services/runtime/obs/log.h"

namespace lab::app {

// The app's own fields.
struct Settings {
  http::Server::Options http;
  obs::Level log_level = obs::Level::kInfo;
  Nanos stop_deadline = std::chrono::seconds(5);
  std::string trace_file;
  int trace_max_mib = 64;
  double trace_sample_ratio = 0.001;
  std::string otlp_endpoint;
  FailpointSettings failpoints;

  void Declare(Schema& schema);
  // What no single field can say.
  absl::Status Check() const { return failpoints.Check(http.host); }
};

inline constexpr int kExitStopped = 0;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitCutShort = 70;

// One process from its start to its stop. Owns the parts in the order in which they depend on each other, so that they
// go in reverse.
class Lifecycle {
 public:
  Lifecycle(const Definition& definition, const Settings& settings);
  // The exit status.
  int Run();

 private:
  failpoint::Controller* MakeFailpoints();
  absl::Status Start();
  void AddAdminPages();
  void AnnounceReady();
  void WaitForSignal();
  // Not ready → service → HTTP → spans → loop. Each step runs once, and the next one follows when it is done.
  void Stop(int signal);
  void StopHttp();
  void StopSpans();

  const Definition& definition_;
  const Settings& settings_;
  async::Loop loop_;
  obs::Metrics metrics_;
  obs::Tracer tracer_;
  SpanExport spans_;
  http::Server http_;
  std::optional<failpoint::Controller> failpoints_;
  Environment environment_;
  std::unique_ptr<Service> service_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer stop_timer_;
  Clock::time_point stop_at_{};
  bool stopping_ = false;
  int exit_status_ = kExitStopped;
};

}  // namespace lab::app
