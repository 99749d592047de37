#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/app/config.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/http/server.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"

namespace lab::failpoint {
class Controller;
}

namespace lab::app {

// What every process has: loop, metrics, tracer, an admin HTTP server (/metrics, /healthz, /readyz), signals, an
// ordered stop. A service adds its parts in Start and takes them down in Stop.
class Service {
 public:
  virtual ~Service() = default;
  // Builds and starts the parts; an error (or an exception) ends the process with status 69 and the text. On the loop's
  // thread. When HTTP cannot start afterwards, the service is destroyed without a Stop.
  virtual absl::Status Start() = 0;
  // Refuse new → drain → close, ending with `done`; bounded by the app (stop.deadline), which ends the process anyway.
  virtual void Stop(Clock::time_point deadline, std::function<void()> done) = 0;
  // Ready to take traffic: /readyz answers 200 or 503. Not asked any more once a stop has begun.
  virtual bool Ready() const = 0;
  // Its own ports after Start, by the name of the log field: {{"grpc_port", 8081}}.
  virtual std::vector<std::pair<std::string, int>> Ports() const { return {}; }
};

// What a service builds itself from.
struct Environment {
  async::Loop& loop;
  obs::Metrics& metrics;
  obs::Tracer& tracer;
  http::Server& http;                           // handlers are added before Start returns; the app starts it after
  failpoint::Controller* failpoints = nullptr;  // for the adapters; null unless failpoints.enabled
};

struct Definition {
  std::string name;     // "ratelimit"
  std::string summary;  // one sentence for --help
  std::function<void(Schema&)> declare;
  // Optional: what no single field can say (a bound on two of them, a file that must be readable). Every error a line.
  // Run before anything starts, by --check-config too.
  std::function<absl::Status()> check;
  // The parts of Environment outlive the service.
  std::function<std::unique_ptr<Service>(Environment&)> make;
  int http_port = 8080;  // default of http.port
};

// The main of a service: --config FILE, --set path=value, --check-config, --print-config, --print-config-schema,
// --print-failpoints, --help. Prints one JSON log line `service_ready` on stderr, whatever the level, with http_port
// and the service's ports when it is up. SIGTERM and SIGINT stop it in order: not ready, service, HTTP, spans; bounded
// by stop.deadline even when the loop hangs; a second signal ends it at once. The app's own fields: http.host,
// http.port, log.level, stop.deadline, trace.file, trace.max_mib, trace.sample_ratio, failpoints.*;
// OTEL_EXPORTER_OTLP_ENDPOINT in the environment turns on the export of spans. Exit: 0 stopped in order; 64 usage or
// configuration; 69 a part could not start; 70 the stop was cut short.
int Main(int argc, char** argv, const Definition& definition);

}  // namespace lab::app
