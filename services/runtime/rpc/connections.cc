#include "services/runtime/rpc/connections.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/runtime/obs/log.h"

namespace lab::rpc {
namespace {

using Descriptor = boost::asio::posix::stream_descriptor;
using boost::system::error_code;

// Connections taken in one turn, so that a storm of them cannot keep calls waiting.
constexpr int kMaxAccepts = 64;
constexpr auto kAcceptRetry = Millis(100);  // after running out of descriptors

void SetOption(int fd, int option, int value) { setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)); }

// In order, before HTTP/2 begins: a client takes that for UNAVAILABLE and waits before it tries again. (SETTINGS and a
// GOAWAY look like a success to grpc++ 1.51: it comes back at once, again and again.) What it has sent by now is taken
// out, so that closing is no reset.
void Refuse(int fd) {
  shutdown(fd, SHUT_WR);
  std::array<char, 4096> unread;
  for (int i = 0; i < 4 && recv(fd, unread.data(), unread.size(), 0) > 0; ++i) {
  }
  close(fd);
}

}  // namespace

struct Connections::Impl {
  Impl(async::Loop& loop, int bound, std::function<void(int)> take, std::function<void()> tell)
      : most(static_cast<size_t>(std::max(bound, 1))),
        adopt(std::move(take)),
        refused(std::move(tell)),
        listener(loop.io()),
        retry(loop.io()),
        closings(loop.io()) {
    closings.assign(epoll_create1(EPOLL_CLOEXEC));
    AwaitClosings();
  }

  ~Impl() {
    for (int fd : corks) close(fd);
  }

  void AwaitAccept() {
    listener.async_wait(Descriptor::wait_read, [this](error_code error) {
      if (!error) Accept();
    });
  }

  void Accept() {
    for (int i = 0; i < kMaxAccepts; ++i) {
      const int fd = accept4(listener.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0 && corks.size() >= most) {
        Refuse(fd);
        refused();
        continue;
      }
      if (fd >= 0) {
        SetOption(fd, TCP_NODELAY, 1);
        Keep(fd);
        adopt(fd);
        continue;
      }
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) break;
      obs::Log(obs::Level::kError, "rpc_accept_failed", {{"error", std::strerror(errno)}});
      retry.expires_after(kAcceptRetry);
      retry.async_wait([this](error_code error) {
        if (!error) AwaitAccept();
      });
      return;
    }
    AwaitAccept();
  }

  // Without a second descriptor the connection works all the same, only uncorked.
  void Keep(int fd) {
    const int cork = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (cork < 0) return;
    // Closings only: what gRPC has to read is none of this set's business.
    epoll_event event{.events = EPOLLRDHUP, .data = {.fd = cork}};
    if (epoll_ctl(closings.native_handle(), EPOLL_CTL_ADD, cork, &event) != 0) {
      close(cork);
      return;
    }
    corks.push_back(cork);
  }

  void AwaitClosings() {
    closings.async_wait(Descriptor::wait_read, [this](error_code error) {
      if (!error) CloseEnded();
    });
  }

  void CloseEnded() {
    std::array<epoll_event, 64> events;
    const int count = epoll_wait(closings.native_handle(), events.data(), events.size(), 0);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      std::erase(corks, fd);
      // Explicitly: while gRPC still holds its descriptor, close alone would leave this one in the set.
      epoll_ctl(closings.native_handle(), EPOLL_CTL_DEL, fd, nullptr);
      close(fd);
    }
    AwaitClosings();
  }

  void SetCork(int value) {
    if (corks.size() > kMaxCorked) return;
    for (int fd : corks) SetOption(fd, TCP_CORK, value);
  }

  const size_t most;
  const std::function<void(int)> adopt;
  const std::function<void()> refused;
  Descriptor listener;
  boost::asio::steady_timer retry;
  Descriptor closings;  // an epoll set of `corks`
  std::vector<int> corks;
  int port = 0;
};

Connections::Connections(async::Loop& loop, int most, std::function<void(int)> adopt, std::function<void()> refused)
    : impl_(std::make_unique<Impl>(loop, most, std::move(adopt), std::move(refused))) {}

Connections::~Connections() = default;

absl::Status Connections::Listen(const std::string& host, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on \"", host, "\": not an IPv4 address; use 127.0.0.1 or 0.0.0.0"));
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (fd < 0 || bind(fd, generic, length) != 0 || listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, generic, &length) != 0) {
    const int error = errno;
    if (fd >= 0) close(fd);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", host, ":", port, ": ", std::strerror(error),
                                               "; choose a free port, or 0 for any"));
  }
  impl_->port = ntohs(address.sin_port);
  impl_->listener.assign(fd);
  impl_->AwaitAccept();
  return absl::OkStatus();
}

int Connections::port() const { return impl_->port; }

void Connections::StopAccepting() {
  error_code ignored;
  impl_->retry.cancel();
  impl_->listener.close(ignored);
}

void Connections::HangUp() {
  for (int fd : impl_->corks) shutdown(fd, SHUT_RDWR);
}

size_t Connections::open() const { return impl_->corks.size(); }
void Connections::Cork() { impl_->SetCork(1); }
void Connections::Uncork() { impl_->SetCork(0); }

}  // namespace lab::rpc
