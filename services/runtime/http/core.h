#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "services/runtime/http/server.h"
#include "services/runtime/obs/metrics.h"

namespace lab::http {

class Connection;

// What the server and its connections share: options, routes, the open connections, the listening socket. The server
// closes it; connections whose callbacks are still in flight keep it in memory until then.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(async::Loop& loop, Server::Options options);

  void Handle(std::string method, std::string path, Server::Handler handler);
  absl::Status Start();
  void Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done);
  void Close();
  int port() const { return port_; }

  // For connections.
  const Server::Options& options() const { return options_; }
  bool draining() const { return draining_; }
  void Dispatch(Request request, const std::shared_ptr<Connection>& connection);
  void Answered(int status, Clock::time_point began);
  void Gone(const std::shared_ptr<Connection>& connection);

 private:
  struct Route {
    std::map<std::string, Server::Handler> methods;
  };

  const Route* Find(const std::string& path) const;
  void Accept();
  void Accepted(boost::asio::ip::tcp::socket socket);
  size_t Serving() const;
  // Closes the one that waits or lingers for longest; false when there is none.
  bool CloseOldest(bool lingering);
  void MaybeDrained();

  async::Loop& loop_;
  Server::Options options_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer accept_timer_;
  boost::asio::steady_timer drain_timer_;
  std::map<std::string, Route> exact_;
  std::map<std::string, Route> below_;  // "/a/" for "/a/*"
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::vector<absl::AnyInvocable<void()>> drained_;
  bool draining_ = false;
  int port_ = 0;

  obs::Counter* requests_[6] = {};  // by first digit of the status
  obs::Histogram* duration_ = nullptr;
  obs::Gauge* open_ = nullptr;
  obs::Counter* refused_ = nullptr;
  obs::Counter* shed_ = nullptr;
};

}  // namespace lab::http
