#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "bench/proxy/connection.h"

namespace lab::proxy {

// "host:port"; nothing when it is not that. "" and "localhost" as host are 127.0.0.1 to listen on.
struct HostPort {
  std::string host;
  int port = 0;
};
std::optional<HostPort> ParseHostPort(std::string_view text);

// Listens on a loopback address and connects each client to `upstream` through its toxics. Disabled it does not listen,
// and has closed its connections: clients are refused. On the loop's thread.
class Proxy {
 public:
  struct Counters {
    Traffic upstream, downstream;
    uint64_t accepted = 0, not_connected = 0;  // clients; those whose upstream could not be reached
  };

  // `io`, `buffer` and `random` must outlive it.
  Proxy(boost::asio::io_context& io, std::span<char> buffer, Random& random, std::string name, std::string listen,
        std::string upstream);
  ~Proxy();

  // UNAVAILABLE when it cannot listen, INVALID_ARGUMENT for what is no loopback address. Nothing when it runs.
  absl::Status Start();
  void Stop();
  // Stops it when one of them is another now; it then has to be started.
  absl::Status Change(const std::string& listen, const std::string& upstream);
  // Whether these are not the addresses it has. Errors of `listen` as of Start.
  absl::StatusOr<bool> Differs(const std::string& listen, const std::string& upstream) const;

  const std::string& name() const;
  const std::string& listen() const;  // with the port that was got
  const std::string& upstream() const;
  bool enabled() const;
  Counters counters() const;
  size_t connections() const;

  // The upstream ones, then the downstream ones, each in the order in which they were added.
  std::vector<Toxic> toxics() const;
  const Toxic* FindToxic(const std::string& name) const;
  void AddToxic(Toxic toxic);            // under a name that is new
  void UpdateToxic(const Toxic& toxic);  // of the same name
  void RemoveToxic(const std::string& name);

 private:
  class Core;
  std::shared_ptr<Core> core_;  // events that are still awaited share it
};

}  // namespace lab::proxy
