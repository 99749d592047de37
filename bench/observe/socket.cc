#include "bench/observe/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "services/runtime/base/text.h"

namespace lab::bench {
namespace {

absl::Status SocketError(const char* what, int error) {
  return absl::UnavailableError(Concat(what, ": ", std::strerror(error)));
}

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

absl::Status Socket::Wait(short events, Clock::time_point deadline, const char* what) const {
  for (;;) {
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now()).count();
    pollfd entry{fd_, events, 0};
    // What is there already counts even when the deadline has passed meanwhile: the answer came in time, we were late.
    const int ready = poll(&entry, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 60'000)));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return SocketError(what, errno);
    if (Clock::now() >= deadline) return absl::DeadlineExceededError(Concat(what, ": no answer in time"));
  }
}

absl::StatusOr<Socket> Socket::Connect(const std::string& host, int port, Clock::time_point deadline) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(Concat("not an IPv4 address: ", host));
  }
  Socket made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (made.fd_ < 0) return SocketError("socket", errno);
  const int on = 1;
  setsockopt(made.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (connect(made.fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EINPROGRESS) return SocketError("connect", errno);
    if (absl::Status ready = made.Wait(POLLOUT, deadline, "connect"); !ready.ok()) return ready;
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(made.fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return SocketError("connect", error);
  }
  return made;
}

absl::Status Socket::Send(std::string_view bytes, Clock::time_point deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (errno == EAGAIN) {
      if (absl::Status ready = Wait(POLLOUT, deadline, "send"); !ready.ok()) return ready;
    } else if (errno != EINTR) {
      return SocketError("send", errno);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Socket::Receive(Clock::time_point deadline) {
  std::array<char, 64 << 10> buffer;
  for (;;) {
    const ssize_t size = recv(fd_, buffer.data(), buffer.size(), 0);
    if (size >= 0) return std::string(buffer.data(), static_cast<size_t>(size));
    if (errno == EAGAIN) {
      if (absl::Status ready = Wait(POLLIN, deadline, "receive"); !ready.ok()) return ready;
    } else if (errno != EINTR) {
      return SocketError("receive", errno);
    }
  }
}

void Socket::CloseHalf() { shutdown(fd_, SHUT_WR); }

}  // namespace lab::bench
