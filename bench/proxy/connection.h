#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "bench/proxy/link.h"

namespace lab::proxy {

// A client and what it was connected to: a link each way. A half-close goes through, a reset too. When both streams
// have been delivered, or one of them with a reset, both sockets are closed and `gone` is called, once. Alive while an
// event of its sockets or timers is awaited.
class Connection : public std::enable_shared_from_this<Connection>, private Link::Owner {
 public:
  Connection(boost::asio::ip::tcp::socket client, boost::asio::ip::tcp::socket server, std::span<char> buffer,
             Random& random, Traffic& upstream, Traffic& downstream,
             std::function<void(const std::shared_ptr<Connection>&)> gone);

  void Start(const std::vector<Toxic>& toxics);
  void AddToxic(const Toxic& toxic);
  void UpdateToxic(const Toxic& toxic);
  void RemoveToxic(const Toxic& toxic);
  // `reset`: so that both sides see it.
  void Close(bool reset);

 private:
  Link& LinkOf(Stream stream) { return stream == Stream::kUpstream ? upstream_ : downstream_; }
  std::shared_ptr<void> Hold() override { return shared_from_this(); }
  void Delivered(Link& link, End end) override;
  void Broken() override { Close(true); }

  boost::asio::ip::tcp::socket client_, server_;
  Link upstream_, downstream_;
  std::function<void(const std::shared_ptr<Connection>&)> gone_;
  bool closed_ = false;
};

}  // namespace lab::proxy
