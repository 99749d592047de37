#pragma once

#include <boost/asio/io_context.hpp>

namespace lab::async {

// The epoll descriptor of Asio's reactor: readable when a socket or timer of `io` has something to do. It is not
// readable for what another thread posted while nobody runs `io`; use Loop::Post for that.
int EpollDescriptor(boost::asio::io_context& io);

}  // namespace lab::async
