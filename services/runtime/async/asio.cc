// The one translation unit that compiles Asio (BOOST_ASIO_SEPARATE_COMPILATION).
#include "services/runtime/async/asio.h"

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/impl/src.hpp>

namespace lab::async {
namespace {

// Asio keeps its epoll descriptor private. The standard lets an explicit instantiation name a private member
// ([temp.explicit], no access checks on its arguments), so this reads it without touching Asio's layout: should Asio
// rename the member, this line stops compiling. Checked with Boost 1.81 and 1.83.
using Reactor = boost::asio::detail::epoll_reactor;
int Reactor::*EpollMember();
template <int Reactor::*Member>
struct Access {
  friend int Reactor::*EpollMember() { return Member; }
};
template struct Access<&Reactor::epoll_fd_>;

}  // namespace

int EpollDescriptor(boost::asio::io_context& io) { return boost::asio::use_service<Reactor>(io).*EpollMember(); }

}  // namespace lab::async
