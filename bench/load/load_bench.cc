// What one call costs the load generator, and how punctual it is:
//   load_bench --endpoint 127.0.0.1:8081 --rate 80000 --seconds 5 --cpu 0
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "bench/load/generator.h"
#include "bench/load/target.h"

namespace lab::bench {
namespace {

struct Arguments {
  std::string target = "ratelimit.grpc";
  std::vector<std::string> endpoints;
  double rate = 10'000;
  double seconds = 5;
  int cpu = -1;
  int closed = 0;
  int max_in_flight = 20'000;
  std::string keys = "1000";
  std::string arrivals = "poisson";
  std::string domain = "bench";
  std::string key = "tenant";
  double timeout_s = 5;
  double starve = 0;
  bool live = false;
  bool ordinary = false;
};

std::string TargetHelp() {
  std::string help = "Targets and their request fields:\n";
  for (const Target& target : Targets()) {
    help += "  " + target.name + "  " + target.doc + "\n";
    for (const RequestField& field : target.fields) help += "      " + field.name + ": " + field.doc + "\n";
  }
  return help;
}

KeySpec KeysOf(const std::string& text) {
  KeySpec keys;
  keys.count = 10'000;
  if (text == "zipf") {
    keys.kind = KeySpec::Kind::kZipf;
  } else if (text == "hot") {
    keys.kind = KeySpec::Kind::kHot;
    keys.hot_share = 1;
  } else {
    keys.count = static_cast<uint32_t>(std::max(1, std::stoi(text)));
  }
  return keys;
}

Generator::Options OptionsOf(const Arguments& arguments) {
  LoadSpec load;
  load.name = "bench";
  load.target = arguments.target;
  load.arrivals = arguments.arrivals == "constant" ? Arrivals::kConstant : Arrivals::kPoisson;
  load.rate.per_s = arguments.rate;
  if (arguments.closed > 0) {
    load.arrivals = Arrivals::kClosed;
    load.closed_clients = arguments.closed;
  }
  load.keys = KeysOf(arguments.keys);
  load.max_in_flight = arguments.max_in_flight;
  load.timeout = Nanos(static_cast<int64_t>(arguments.timeout_s * 1e9));
  load.request = {{"domain", arguments.domain}, {"key", arguments.key}};
  Generator::Options options;
  options.loads = {load};
  options.phases = {{"all", 0, arguments.seconds}};
  options.endpoints[arguments.target] = arguments.endpoints;
  options.cpu = arguments.cpu;
  options.starve = arguments.starve;
  options.realtime = !arguments.ordinary;
  options.max_ops = 50'000'000;
  if (arguments.live) {
    options.on_second = [](const LiveLoad& live) {
      std::printf("  %.0f/s offered, %.0f/s ok, p99 %.0f us, lag p99 %.0f us, %llu in flight\n", live.offered_per_s,
                  live.achieved_per_s, live.p99_s * 1e6, live.lag_p99_s * 1e6,
                  static_cast<unsigned long long>(live.in_flight));
    };
  }
  return options;
}

void PrintQuantiles(const char* name, const Histogram& histogram) {
  std::printf("%-8s p50 %.0f us, p99 %.0f us, p99.9 %.0f us, max %.0f us\n", name,
              static_cast<double>(histogram.Quantile(0.5)) / 1e3, static_cast<double>(histogram.Quantile(0.99)) / 1e3,
              static_cast<double>(histogram.Quantile(0.999)) / 1e3, static_cast<double>(histogram.max()) / 1e3);
}

void Report(Generator& generator, double seconds) {
  const std::vector<Op> ops = generator.TakeOps();
  Histogram latency, service;
  std::array<uint64_t, 4> outcomes{};
  std::array<uint64_t, 3> answers{};
  for (const Op& op : ops) {
    ++outcomes[static_cast<size_t>(op.outcome)];
    ++answers[static_cast<size_t>(op.answer)];
    if (op.outcome != Outcome::kOk) continue;
    latency.Add(op.latency_ns());
    service.Add(op.service_ns());
  }
  const double sent = static_cast<double>(std::max<uint64_t>(1, ops.size() - generator.dropped()));
  std::printf("rate     %.0f/s offered, %.0f/s ok\n", static_cast<double>(ops.size()) / seconds,
              static_cast<double>(outcomes[0]) / seconds);
  PrintQuantiles("latency", latency);
  PrintQuantiles("service", service);
  PrintQuantiles("lag", generator.lag());
  std::printf("cpu      %.2f us a call, %.1f %% of a core%s\n", generator.cpu_s() / sent * 1e6,
              generator.cpu_s() / seconds * 100, generator.realtime() ? ", real-time" : "");
  std::printf("outcomes %llu ok, %llu failed, %llu unknown, %llu dropped; answers %llu admitted, %llu limited\n",
              static_cast<unsigned long long>(outcomes[0]), static_cast<unsigned long long>(outcomes[1]),
              static_cast<unsigned long long>(outcomes[2]), static_cast<unsigned long long>(outcomes[3]),
              static_cast<unsigned long long>(answers[1]), static_cast<unsigned long long>(answers[2]));
}

int Main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Drives one target and prints what the generator itself cost.");
  app.footer(TargetHelp());
  app.add_option("--target", arguments.target);
  app.add_option("--endpoint", arguments.endpoints, "host:port; several replicas: several times")->required();
  app.add_option("--rate", arguments.rate, "arrivals a second");
  app.add_option("--seconds", arguments.seconds);
  app.add_option("--cpu", arguments.cpu, "pin the generator to this CPU");
  app.add_option("--closed", arguments.closed, "closed loop of so many clients instead of a rate");
  app.add_option("--max-in-flight", arguments.max_in_flight);
  app.add_option("--keys", arguments.keys, "number of keys, zipf or hot");
  app.add_option("--arrivals", arguments.arrivals)->check(CLI::IsMember({"poisson", "constant"}));
  app.add_option("--domain", arguments.domain);
  app.add_option("--key", arguments.key);
  app.add_option("--timeout", arguments.timeout_s, "seconds");
  app.add_option("--starve", arguments.starve, "share of the time in which the generator is kept from running");
  app.add_flag("--ordinary", arguments.ordinary, "no real-time scheduling");
  app.add_flag("--live", arguments.live, "a line a second");
  CLI11_PARSE(app, argc, argv);

  Generator generator(OptionsOf(arguments));
  for (const auto step : {&Generator::Connect, &Generator::Run}) {
    const absl::Status status = (generator.*step)();
    if (!status.ok()) {
      std::fprintf(stderr, "load_bench: %s\n", std::string(status.message()).c_str());
      return 1;
    }
  }
  Report(generator, arguments.seconds);
  return 0;
}

}  // namespace
}  // namespace lab::bench

int main(int argc, char** argv) { return lab::bench::Main(argc, argv); }
