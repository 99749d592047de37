// fault_proxy: the process behind the links of a lab; toxiproxy-cli drives it as it is.
#include <boost/asio/signal_set.hpp>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "bench/proxy/api.h"
#include "services/runtime/base/file.h"
#include "services/runtime/base/nearest.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/obs/metrics.h"

namespace {

constexpr char kHelp[] = R"(fault_proxy: TCP proxies that can be made slow, lossy or dead while traffic flows,
with the toxics and the HTTP API of Toxiproxy 2.12

  fault_proxy [--host ADDRESS] [--port N] [--config FILE] [--seed N]

  --host ADDRESS   loopback address of the API (127.0.0.1)
  --port N         port of the API (8474); 0 takes a free one, which the line service_ready tells
  --config FILE    proxies to begin with, as JSON: [{"name": "redis", "listen": "127.0.0.1:26379",
                   "upstream": "127.0.0.1:6379"}]
  --seed N         decides whom a toxicity affects, jitter and slices; random by default
  --version, --help

Proxies listen on loopback addresses only; port 0 takes a free one. Example:

  fault_proxy --port 8474 &
  toxiproxy-cli create -l 127.0.0.1:26379 -u 127.0.0.1:6379 redis
  toxiproxy-cli toxic add -t latency -a latency=50 redis

SIGTERM and SIGINT end it. Exit status: 0 ended by a signal, 64 usage, 69 a port or the configuration cannot be had.
)";

struct Options {
  lab::http::Server::Options http{.port = 8474, .max_body_bytes = 1 << 20};
  std::string config;
  uint64_t seed = 0;
  bool version = false, help = false;
};

template <typename T>
bool Number(const char* text, T most, T* value) {
  const char* end = text + std::strlen(text);
  const auto [used, error] = std::from_chars(text, end, *value);
  return error == std::errc() && used == end && *value >= 0 && *value <= most;
}

// "" or what is wrong.
std::string Parse(const std::vector<std::string>& arguments, Options& options) {
  const std::vector<std::string> flags = {"--host", "--port", "--config", "--seed", "--version", "--help"};
  for (size_t i = 0; i < arguments.size(); ++i) {
    // Go programs take one hyphen as well as two.
    const std::string& given = arguments[i];
    const std::string flag = given.size() > 1 && given[0] == '-' && given[1] != '-' ? "-" + given : given;
    if (flag == "--help" || flag == "--version") {
      (flag == "--help" ? options.help : options.version) = true;
      continue;
    }
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) {
      return lab::Concat("unknown argument \"", given, "\"", lab::Suggestion(flag, flags));
    }
    if (++i == arguments.size()) return lab::Concat(flag, " wants a value");
    const char* value = arguments[i].c_str();
    if (flag == "--host") options.http.host = value;
    if (flag == "--config") options.config = value;
    if (flag == "--port" && !Number(value, 65535, &options.http.port)) return "--port wants 0 to 65535";
    if (flag == "--seed" && !Number(value, UINT64_MAX, &options.seed)) return "--seed wants a number";
  }
  return "";
}

int Fail(int status, const std::string& text) {
  std::fprintf(stderr, "fault_proxy: %s\n", text.c_str());
  return status;
}

int Serve(Options& options) {
  boost::system::error_code wrong;
  if (options.http.host == "localhost") options.http.host = "127.0.0.1";
  const auto address = boost::asio::ip::make_address(options.http.host, wrong);
  if (wrong || !address.is_loopback()) return Fail(64, "--host wants a loopback address, as 127.0.0.1");

  lab::async::Loop loop;
  lab::obs::Metrics metrics;
  lab::proxy::Api api(loop.io(), options.seed, [&metrics] { return metrics.Text(); });
  if (!options.config.empty()) {
    const absl::StatusOr<std::string> text = lab::ReadFile(options.config);
    if (!text.ok()) return Fail(69, std::string(text.status().message()));
    const lab::http::Response populated = api.Populate(*text);
    if (populated.status != 201) return Fail(69, lab::Concat(options.config, ": ", populated.body));
  }
  options.http.metrics = &metrics;
  lab::http::Server server(loop, options.http);
  api.Serve(server);
  if (const absl::Status started = server.Start(); !started.ok()) return Fail(69, std::string(started.message()));
  lab::obs::Log(lab::obs::Level::kInfo, "service_ready", {{"http_port", server.port()}, {"seed", options.seed}});

  boost::asio::signal_set signals(loop.io(), SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code&, int) {
    api.StopAll();
    server.Drain(lab::Clock::now() + std::chrono::seconds(1), [&loop] { loop.Stop(); });
  });
  loop.Run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  options.seed = std::random_device{}();
  if (const std::string problem = Parse({argv + 1, argv + argc}, options); !problem.empty()) {
    return Fail(64, problem + "\ntry fault_proxy --help");
  }
  if (options.help) {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (options.version) {
    std::puts("fault_proxy, speaking the API of toxiproxy 2.12.0");
    return 0;
  }
  lab::obs::SetLogService("fault_proxy");
  return Serve(options);
}
