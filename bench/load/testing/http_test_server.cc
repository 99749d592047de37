#include "bench/load/testing/http_test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace lab::bench {
namespace {

// The bytes of the first whole request in `text`; 0 when it is not whole yet.
size_t RequestBytes(const std::string& text) {
  const size_t head = text.find("\r\n\r\n");
  if (head == std::string::npos) return 0;
  const std::string name = "content-length: ";
  const size_t field = text.find(name);
  const size_t body = field == std::string::npos || field > head ? 0 : std::stoul(text.substr(field + name.size()));
  const size_t whole = head + 4 + body;
  return text.size() >= whole ? whole : 0;
}

}  // namespace

HttpTestServer::HttpTestServer(Handler handler, size_t most) : handler_(std::move(handler)), most_(most) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 256) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("HTTP test server: cannot listen");
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

HttpTestServer::~HttpTestServer() {
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();  // starts no more threads
  for (const int fd : connections_open_) shutdown(fd, SHUT_RDWR);
  for (std::thread& thread : threads_) thread.join();
  for (const int fd : connections_open_) close(fd);
  close(listener_);
}

void HttpTestServer::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++connections_;
    if (serving_ >= most_) {
      close(fd);
      continue;
    }
    ++serving_;
    connections_open_.push_back(fd);
    threads_.emplace_back([this, fd] { Serve(fd); });
  }
}

void HttpTestServer::Serve(int fd) {
  std::string in;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    in.append(buffer.data(), static_cast<size_t>(got));
    const size_t whole = RequestBytes(in);
    if (whole == 0) continue;
    const std::string answer = handler_(in.substr(0, whole));
    in.erase(0, whole);
    if (answer.empty() || send(fd, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
    if (answer.find("connection: close") != std::string::npos) break;
  }
  shutdown(fd, SHUT_RDWR);
  --serving_;
}

}  // namespace lab::bench
