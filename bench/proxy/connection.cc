#include "bench/proxy/connection.h"

#include <boost/asio/socket_base.hpp>
#include <utility>

namespace lab::proxy {

using boost::asio::ip::tcp;

Connection::Connection(tcp::socket client, tcp::socket server, std::span<char> buffer, Random& random,
                       Traffic& upstream, Traffic& downstream,
                       std::function<void(const std::shared_ptr<Connection>&)> gone)
    : client_(std::move(client)),
      server_(std::move(server)),
      upstream_(client_, server_, buffer, random, upstream, *this),
      downstream_(server_, client_, buffer, random, downstream, *this),
      gone_(std::move(gone)) {
  boost::system::error_code ignored;
  client_.set_option(tcp::no_delay(true), ignored);
  server_.set_option(tcp::no_delay(true), ignored);
}

void Connection::Start(const std::vector<Toxic>& toxics) {
  const auto self = shared_from_this();
  const Clock::time_point now = Clock::now();
  for (const Toxic& toxic : toxics) LinkOf(toxic.stream).pipeline().Add(toxic, now);
  upstream_.Pump();
  downstream_.Pump();
}

void Connection::AddToxic(const Toxic& toxic) {
  const auto self = shared_from_this();
  LinkOf(toxic.stream).pipeline().Add(toxic, Clock::now());
  LinkOf(toxic.stream).Pump();
}

void Connection::UpdateToxic(const Toxic& toxic) {
  const auto self = shared_from_this();
  LinkOf(toxic.stream).pipeline().Update(toxic, Clock::now());
  LinkOf(toxic.stream).Pump();
}

void Connection::RemoveToxic(const Toxic& toxic) {
  const auto self = shared_from_this();
  LinkOf(toxic.stream).pipeline().Remove(toxic.name, Clock::now());
  LinkOf(toxic.stream).Pump();
}

void Connection::Delivered(Link& link, End end) {
  if (end == End::kReset) {
    Close(true);
    return;
  }
  const bool up = &link == &upstream_;
  boost::system::error_code ignored;
  (up ? server_ : client_).shutdown(tcp::socket::shutdown_send, ignored);
  Link& other = up ? downstream_ : upstream_;
  // A toxic closes the whole connection: what the other side has sent until now still arrives there.
  if (end == End::kClose && !other.delivered()) other.SourceGone(End::kClose);
  if (upstream_.delivered() && downstream_.delivered()) Close(false);
}

void Connection::Close(bool reset) {
  if (std::exchange(closed_, true)) return;
  upstream_.Stop();
  downstream_.Stop();
  boost::system::error_code ignored;
  for (tcp::socket* socket : {&client_, &server_}) {
    if (reset) socket->set_option(boost::asio::socket_base::linger(true, 0), ignored);
    socket->close(ignored);
  }
  gone_(shared_from_this());
}

}  // namespace lab::proxy
