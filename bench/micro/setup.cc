#include "bench/micro/setup.h"

#include <exception>
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

absl::StatusOr<Server> StartServer(const Setup& setup, const ServerCommand& server) {
  Command command;
  command.binary = server.binary;
  command.arguments = {server.binary};
  command.arguments.insert(command.arguments.end(), server.arguments.begin(), server.arguments.end());
  command.environment = CleanEnvironment();
  command.environment.push_back(setup.workspace.marker());
  command.environment.insert(command.environment.end(), server.environment.begin(), server.environment.end());
  command.folder = setup.folder();
  command.log = absl::StrCat(setup.folder(), "/", server.name, ".log");
  command.cpu = server.cpu;
  absl::StatusOr<pid_t> pid = setup.workspace.spawner().Spawn(server.name, command);
  if (!pid.ok()) return pid.status();
  Server started;
  started.process = std::make_unique<Process>(*pid);
  started.address = absl::StrCat("127.0.0.1:", server.port);
  const Clock::time_point deadline = Clock::now() + std::chrono::seconds(10);
  while (!Socket::Connect("127.0.0.1", server.port, Clock::now() + Millis(100)).ok()) {
    if (started.process->Poll() || Clock::now() > deadline) {
      absl::StatusOr<std::string> log = ReadFile(command.log);
      return absl::UnavailableError(absl::StrCat(server.name, " did not start: ", log.ok() ? *log : ""));
    }
    std::this_thread::sleep_for(Millis(5));
  }
  return started;
}

absl::StatusOr<Server> StartLimiter(const Setup& setup, const std::string& name, int redis_port,
                                    std::vector<std::string> settings) {
  const std::string rules = absl::StrCat(setup.folder(), "/rules.yaml");
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
  return StartServer(setup, {.name = name,
                             .binary = absl::StrCat(setup.build, "/services/ratelimit/ratelimit"),
                             .arguments = arguments,
                             .port = *port});
}

absl::StatusOr<Server> StartEcho(const Setup& setup, int cpu) {
  absl::StatusOr<int> port = FreePort();
  if (!port.ok()) return port.status();
  return StartServer(setup, {.name = "echo",
                             .binary = absl::StrCat(setup.build, "/services/runtime/rpc/echo_server"),
                             .arguments = {"--port", absl::StrCat(*port)},
                             .port = *port,
                             .cpu = cpu});
}

absl::StatusOr<std::unique_ptr<redis::TestServer>> StartRedis() {
  try {
    return std::make_unique<redis::TestServer>();
  } catch (const std::exception& problem) {
    return absl::NotFoundError(absl::StrCat("Redis: ", problem.what()));
  }
}

}  // namespace lab::bench
