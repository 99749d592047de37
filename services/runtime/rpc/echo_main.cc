// The bare edge: answers every rate-limit call with OK and decides nothing. Its answer has every field that the limiter
// fills, with fixed values, so that what a complete service reaches is measured against the same messages on the same
// server form.
//
//   echo_server [--port N]      prints {"event":"service_ready","grpc_port":N}; ends on SIGTERM or SIGINT
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "envoy/service/ratelimit/v3/rls.pb.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/obs/trace.h"
#include "services/runtime/rpc/server.h"

namespace {

namespace rls = envoy::service::ratelimit::v3;

class Echo {
 public:
  void operator()(lab::rpc::Call call) {
    if (!call.Parse(&request_)) return;
    response_.Clear();
    response_.set_overall_code(rls::RateLimitResponse::OK);
    for (int i = 0; i < request_.descriptors_size(); ++i) {
      auto* status = response_.add_statuses();
      status->set_code(rls::RateLimitResponse::OK);
      status->set_limit_remaining(999'999);
      status->mutable_current_limit()->set_requests_per_unit(1'000'000);
      status->mutable_current_limit()->set_unit(rls::RateLimitResponse::RateLimit::SECOND);
      status->mutable_duration_until_reset()->set_nanos(500'000'000);
    }
    AddHeader("RateLimit-Policy", "\"fixed_window\";q=1000000;w=1");
    AddHeader("RateLimit", "\"fixed_window\";r=999999;t=1");
    call.Reply(response_);
  }

 private:
  void AddHeader(const char* key, const char* value) {
    auto* header = response_.add_response_headers_to_add();
    header->set_key(key);
    header->set_value(value);
  }

  rls::RateLimitRequest request_;
  rls::RateLimitResponse response_;
};

int Serve(lab::rpc::Server::Options options) {
  lab::async::Loop loop;
  lab::obs::Metrics metrics;
  lab::obs::Tracer tracer;
  lab::rpc::Server server(loop, options, metrics, tracer);
  server.Register("/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit", "echo.should_rate_limit", Echo());
  if (const absl::Status status = server.Start(); !status.ok()) {
    std::fprintf(stderr, "echo_server: %s\n", std::string(status.message()).c_str());
    return 69;
  }
  boost::asio::signal_set signals(loop.io(), SIGTERM, SIGINT);
  signals.async_wait([&](boost::system::error_code, int) {
    server.Drain(lab::Clock::now() + lab::Millis(500), [&] { loop.Stop(); });
  });
  std::printf("{\"event\":\"service_ready\",\"grpc_port\":%d}\n", server.port());
  std::fflush(stdout);
  loop.Run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  lab::rpc::Server::Options options;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--port") == 0 && i + 1 < argc) {
      options.port = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "--no-cork") == 0) {
      options.cork = false;
    } else {
      std::fprintf(stderr, "usage: echo_server [--port N] [--no-cork]\n");
      return 64;
    }
  }
  return Serve(options);
}
