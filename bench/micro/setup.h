#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/micro/workspace.h"
#include "bench/run/process.h"
#include "services/runtime/redis/test_server.h"

namespace lab::bench {

// What all sections know of this invocation.
struct Setup {
  Workspace& workspace;
  std::string root;   // the checkout
  std::string build;  // build/<preset>, where the servers' binaries are
  std::string state;  // what is kept: $LAB_STATE or .lab
  bool quick = false;

  const std::string& folder() const { return workspace.folder(); }  // configurations and logs; removed at the end
  // Of two variants that are compared: so many pairs of measurements of so long.
  int rounds() const { return quick ? 3 : 9; }
  double seconds() const { return quick ? 0.5 : 0.7; }
};

// A server under measurement, on loopback; ends with this object.
struct Server {
  std::unique_ptr<Process> process;
  std::string address;  // "127.0.0.1:4711" of its gRPC port
};

struct ServerCommand {
  std::string name;  // of its log
  std::string binary;
  std::vector<std::string> arguments;    // without the name
  std::vector<std::string> environment;  // beside the clean one
  int port = 0;
  int cpu = -1;  // pinned to it; -1: not
};
// Starts it and waits until the port accepts connections.
absl::StatusOr<Server> StartServer(const Setup& setup, const ServerCommand& server);

// Our limiter with the rules below, on a Redis port (0: store in memory).
absl::StatusOr<Server> StartLimiter(const Setup& setup, const std::string& name, int redis_port,
                                    std::vector<std::string> settings = {});
// The bare echo.
absl::StatusOr<Server> StartEcho(const Setup& setup, int cpu = -1);
// A Redis of this section's own. NOT_FOUND with what it printed when there is none or it does not start.
absl::StatusOr<std::unique_ptr<redis::TestServer>> StartRedis();

// Domain "bench", a descriptor key an algorithm, each with a limit that is never reached: admitting costs the most.
const std::string& BenchRules();

}  // namespace lab::bench
