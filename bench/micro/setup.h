#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/run/process.h"

namespace lab::bench {

// What all sections know of this invocation.
struct Setup {
  std::string build;      // build/<preset>, where the servers' binaries are
  std::string folder;     // for configurations and logs; removed at the end
  bool quick = false;
  int rounds() const { return quick ? 3 : 5; }
  double seconds() const { return quick ? 1.0 : 2.0; }
};

// A server under measurement, on loopback; ends with this object.
struct Server {
  std::unique_ptr<Process> process;
  std::string address;    // "127.0.0.1:4711" of its gRPC port
};

// Starts `binary` and waits until `port` accepts connections.
absl::StatusOr<Server> StartServer(Spawner& spawner, const Setup& setup, const std::string& name, const std::string& binary,
                                   std::vector<std::string> arguments, int port,
                                   std::vector<std::string> environment = {});

// Our limiter with the rules below, on a Redis port (0: store in memory).
absl::StatusOr<Server> StartLimiter(Spawner& spawner, const Setup& setup, const std::string& name, int redis_port,
                                    std::vector<std::string> settings = {});
// The bare echo.
absl::StatusOr<Server> StartEcho(Spawner& spawner, const Setup& setup);

// Domain "bench", a descriptor key an algorithm, each with a limit that is never reached: admitting costs the most.
const std::string& BenchRules();

// The middle of the values; they are few.
double Median(std::vector<double> values);

}  // namespace lab::bench
