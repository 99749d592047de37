#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/proxy/command.h"
#include "bench/proxy/proxy.h"
#include "services/runtime/http/server.h"

namespace lab::proxy {

// The proxies of a process behind Toxiproxy's HTTP API: one command changes or shows them and is answered at once. On
// the loop's thread.
class Api {
 public:
  // `metrics` gives what /metrics shows besides the proxies. The loop must outlive it; `seed` decides whom a toxicity
  // affects, jitter and slices.
  Api(boost::asio::io_context& io, uint64_t seed, std::function<std::string()> metrics);

  // Answers all requests to the server.
  void Serve(http::Server& server);
  http::Response Answer(const http::Request& request);
  // What a body of POST /populate says, for a configuration file.
  http::Response Populate(const std::string& body);
  void StopAll();

 private:
  http::Response Execute(const Command& command);
  http::Response CreateProxy(const ProxyFields& fields);
  http::Response PopulateAll(const std::vector<ProxyFields>& all);
  http::Response UpdateProxy(Proxy& proxy, const ProxyFields& fields);
  http::Response CreateToxic(Proxy& proxy, const Toxic& toxic);
  http::Response UpdateToxic(Proxy& proxy, const Command& command);
  http::Response Reset();
  std::string MetricsText() const;
  std::unique_ptr<Proxy> Make(const ProxyFields& fields);

  boost::asio::io_context& io_;
  Random random_;
  std::vector<char> buffer_;
  std::function<std::string()> metrics_;
  std::map<std::string, std::unique_ptr<Proxy>> proxies_;
};

// As the API shows them.
std::string ToxicJson(const Toxic& toxic);
std::string ProxyJson(const Proxy& proxy);

}  // namespace lab::proxy
