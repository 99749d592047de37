// How fast the client is on this machine: a closed loop of EVALSHA (fixed window, as the rate limiter's) or INCRBY
// against a Redis server of its own. For profiling; the numbers that count are those of `./lab bench`.
//
//   redis_bench [seconds] [connections…]      1 s a row and connections 1 2 4 by default

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "services/runtime/base/random.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/redis/client.h"
#include "services/runtime/redis/test_server.h"

namespace lab::redis {
namespace {

constexpr size_t kKeys = 10'000;

const Script& FixedWindow() {
  static const Script script(
      "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) if n == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], "
      "ARGV[2]) end return n");
  return script;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct Row {
  double calls_per_s, cpu_us_per_call, p50_us, p99_us, calls_per_write;
  size_t failed;
};

double CounterOf(const obs::Metrics& metrics, const std::string& name) {
  const std::string text = metrics.Text();
  const size_t at = text.find("\n" + name + " ");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + name.size() + 2);
}

class Bench {
 public:
  Bench(int port, int connections, bool script) : script_(script) {
    Options options;
    options.port = port;
    options.connections = connections;
    options.deadline = Millis(100);
    client_.emplace(loop_, options, metrics_);
    for (size_t i = 0; i < kKeys; ++i) keys_.push_back("key:" + std::to_string(i));
  }

  Row Run(int outstanding, Nanos time) {
    client_->WhenReady([&](absl::Status) {
      for (int i = 0; i < outstanding; ++i) Issue();
    });
    RunFor(time / 5);  // warm
    latencies_.clear();
    failed_ = 0;
    const double writes = CounterOf(metrics_, "redis_writes_total");
    const double cpu = CpuSeconds();
    const auto start = Clock::now();
    RunFor(time);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const double used = CpuSeconds() - cpu;
    const double calls = static_cast<double>(latencies_.size());
    const Row row = {calls / seconds,
                     1e6 * used / calls,
                     Percentile(0.5),
                     Percentile(0.99),
                     calls / (CounterOf(metrics_, "redis_writes_total") - writes),
                     failed_};
    client_->Close();
    return row;
  }

 private:
  void Issue() {
    const auto start = Clock::now();
    auto done = [this, start](const absl::StatusOr<Reply>& reply) {
      if (!reply.ok()) ++failed_;
      latencies_.push_back(static_cast<float>((Clock::now() - start).count()) * 1e-3f);
      Issue();
    };
    const std::string_view key = keys_[random_.Below(kKeys)];
    if (script_) {
      const std::string_view keys[] = {key}, arguments[] = {"1", "1000"};
      client_->Eval(FixedWindow(), keys, arguments, done);
    } else {
      const std::string_view arguments[] = {"INCRBY", key, "1"};
      client_->Command(arguments, done);
    }
  }

  void RunFor(Nanos time) {
    boost::asio::steady_timer timer(loop_.io(), time);
    timer.async_wait([this](const boost::system::error_code&) { loop_.Stop(); });
    loop_.Run();
  }

  double Percentile(double p) {
    if (latencies_.empty()) return 0;
    const auto at = latencies_.begin() + static_cast<ptrdiff_t>(p * static_cast<double>(latencies_.size() - 1));
    std::nth_element(latencies_.begin(), at, latencies_.end());
    return *at;
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  std::optional<Client> client_;
  const bool script_;
  std::vector<std::string> keys_;
  Random random_{7};
  std::vector<float> latencies_;
  size_t failed_ = 0;
};

}  // namespace
}  // namespace lab::redis

int main(int argc, char** argv) {
  using namespace lab;
  const Nanos time = Millis(static_cast<int64_t>(1000 * (argc > 1 ? std::atof(argv[1]) : 1.0)));
  std::vector<int> connections;
  for (int i = 2; i < argc; ++i) connections.push_back(std::atoi(argv[i]));
  if (connections.empty()) connections = {1, 2, 4};
  obs::SetLogLevel(obs::Level::kWarn);
  const redis::TestServer server;
  std::printf("%-8s %12s %12s %10s %10s %8s %8s %12s\n", "command", "connections", "outstanding", "calls/s",
              "cpu us/call", "p50 us", "p99 us", "calls/write");
  for (const bool script : {true, false}) {
    for (const int outstanding : {1, 16, 64, 256}) {
      for (const int count : connections) {
        const redis::Row row = redis::Bench(server.port(), count, script).Run(outstanding, time);
        std::printf("%-8s %12d %12d %10.0f %10.2f %8.0f %8.0f %12.1f%s\n", script ? "EVALSHA" : "INCRBY", count,
                    outstanding, row.calls_per_s, row.cpu_us_per_call, row.p50_us, row.p99_us, row.calls_per_write,
                    row.failed > 0 ? "  FAILED CALLS" : "");
      }
    }
  }
}
