#include "bench/micro/setup.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/observe/socket.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"

namespace lab::bench {

const std::string& BenchRules() {
  static const std::string rules = [] {
    std::string text = "domain: bench\ndescriptors:\n";
    for (const char* algorithm : {"fixed_window", "sliding_log", "sliding_counter", "token_bucket", "gcra"}) {
      // A log keeps one entry a request, so its limit is what a log can hold.
      const int limit = std::string(algorithm) == "sliding_log" ? 100'000 : 1'000'000;
      absl::StrAppend(&text, "  - {key: ", algorithm, ", rate_limit: {unit: second, requests_per_unit: ", limit,
                      ", algorithm: ", algorithm, "}}\n");
    }
    return text;
  }();
  return rules;
}

absl::StatusOr<Server> StartServer(Spawner& spawner, const Setup& setup, const std::string& name, const std::string& binary,
                                   std::vector<std::string> arguments, int port, std::vector<std::string> environment) {
  Command command;
  command.binary = binary;
  command.arguments = std::move(arguments);
  command.arguments.insert(command.arguments.begin(), binary);
  command.environment = CleanEnvironment();
  command.environment.insert(command.environment.end(), environment.begin(), environment.end());
  command.folder = setup.folder;
  command.log = absl::StrCat(setup.folder, "/", name, ".log");
  absl::StatusOr<pid_t> pid = spawner.Spawn(name, command);
  if (!pid.ok()) return pid.status();
  Server server;
  server.process = std::make_unique<Process>(*pid);
  server.address = absl::StrCat("127.0.0.1:", port);
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(10);
  while (!Socket::Connect("127.0.0.1", port, Clock::now() + Millis(100)).ok()) {
    if (server.process->Poll() || Clock::now() > deadline) {
      absl::StatusOr<std::string> log = ReadFile(command.log);
      return absl::UnavailableError(absl::StrCat(name, " did not start: ", log.ok() ? *log : ""));
    }
    std::this_thread::sleep_for(Millis(5));
  }
  return server;
}

absl::StatusOr<Server> StartLimiter(Spawner& spawner, const Setup& setup, const std::string& name, int redis_port,
                                    std::vector<std::string> settings) {
  const std::string rules = absl::StrCat(setup.folder, "/rules.yaml");
  if (absl::Status status = WriteFileAtomic(rules, BenchRules()); !status.ok()) return status;
  absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  settings.push_back(absl::StrCat("grpc.port=", *port));
  settings.push_back("http.port=0");
  settings.push_back("log.level=warn");
  settings.push_back(absl::StrCat("rules.path=", rules));
  settings.push_back(redis_port == 0 ? "store=memory" : absl::StrCat("redis.port=", redis_port));
  std::vector<std::string> arguments;
  for (const std::string& setting : settings) {
    arguments.push_back("--set");
    arguments.push_back(setting);
  }
  return StartServer(spawner, setup, name, absl::StrCat(setup.build, "/services/ratelimit/ratelimit"), arguments, *port);
}

absl::StatusOr<Server> StartEcho(Spawner& spawner, const Setup& setup) {
  absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  return StartServer(spawner, setup, "echo", absl::StrCat(setup.build, "/services/runtime/rpc/echo_server"),
                     {"--port", absl::StrCat(*port)}, *port);
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace lab::bench
