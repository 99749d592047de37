#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "bench/proxy/api.h"
#include "gtest/gtest.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/text.h"

// A proxy process in miniature, and blocking sockets on both sides of it; for the tests of this folder.
namespace lab::proxy {

// A connected socket. Every wait is bounded by 20 s.
class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  Peer(Peer&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Peer() { Close(); }

  static Peer Connect(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) return Peer(fd);
    close(fd);
    return Peer(-1);
  }
  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // Up to `count` bytes, fewer at the end of the stream.
  std::string Receive(size_t count) {
    std::string all;
    while (all.size() < count && ReceiveSome(all, count - all.size())) {
    }
    return all;
  }
  std::string ReceiveAll() { return Receive(SIZE_MAX); }
  // What has come within the time.
  std::string ReceiveFor(Nanos time) {
    std::string all;
    const Clock::time_point end = Clock::now() + time;
    while (Clock::now() < end) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 5) == 1 && !ReceiveSome(all, SIZE_MAX)) break;
    }
    return all;
  }
  bool ended() const { return ended_; }  // the stream, in order
  bool reset() const { return reset_; }
  void Shut() { shutdown(fd_, SHUT_WR); }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void Reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    Close();
  }

 private:
  bool ReceiveSome(std::string& all, size_t most) {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return false;
    char buffer[64 << 10];
    const ssize_t got = recv(fd_, buffer, std::min(most, sizeof(buffer)), 0);
    ended_ |= got == 0;
    reset_ |= got < 0;
    if (got <= 0) return false;
    all.append(buffer, static_cast<size_t>(got));
    return true;
  }

  int fd_;
  bool ended_ = false, reset_ = false;
};

// Listens on a free port.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (bind(fd_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(fd_, 4096) != 0 ||
        getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  int port() const { return port_; }
  Peer Accept() {
    pollfd waiting{fd_, POLLIN, 0};
    return Peer(poll(&waiting, 1, 20'000) == 1 ? accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC) : -1);
  }

 private:
  int fd_, port_ = 0;
};

// The API on a loop in a thread of its own.
class ApiTest : public testing::Test {
 protected:
  ApiTest() : api_(loop_.io(), 1, [] { return std::string(); }), thread_([this] { loop_.Run(); }) {}
  ~ApiTest() override {
    OnLoop([this] { api_.StopAll(); });
    loop_.Stop();
    thread_.join();
  }

  void OnLoop(const std::function<void()>& what) {
    std::promise<void> done;
    loop_.Post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }
  http::Response Ask(const std::string& method, const std::string& path, const std::string& body = "",
                     const std::string& agent = "test") {
    http::Response response;
    OnLoop([&] {
      http::Request request;
      request.method = method;
      request.path = path;
      request.body = body;
      request.headers = {{"user-agent", agent}};
      response = api_.Answer(request);
    });
    return response;
  }
  // A proxy of that name to the port; the port that it listens on.
  int MakeProxy(const std::string& name, int upstream) {
    const http::Response made =
        Ask("POST", "/proxies",
            Concat(R"({"name":")", name, R"(","listen":"127.0.0.1:0","upstream":"127.0.0.1:)", upstream, "\"}"));
    EXPECT_EQ(made.status, 201) << made.body;
    const std::string listen = nlohmann::json::parse(made.body)["listen"];
    return std::stoi(listen.substr(listen.find(':') + 1));
  }
  void AddToxic(const std::string& proxy, const std::string& type, const std::string& attributes,
                const std::string& stream = "downstream", double toxicity = 1) {
    const http::Response added = Ask("POST", Concat("/proxies/", proxy, "/toxics"),
                                     Concat(R"({"type":")", type, R"(","stream":")", stream, R"(","toxicity":)",
                                            toxicity, R"(,"attributes":)", attributes, "}"));
    EXPECT_EQ(added.status, 200) << added.body;
  }
  double Metric(const std::string& line) {
    const std::string text = Ask("GET", "/metrics").body;
    const size_t at = text.find("\n" + line);
    return at == std::string::npos ? -1 : std::stod(text.substr(text.find("} ", at) + 2));
  }

  async::Loop loop_;
  Api api_;
  std::thread thread_;
};

inline bool Eventually(const std::function<bool()>& happens) {
  const Clock::time_point end = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < end) {
    if (happens()) return true;
    std::this_thread::sleep_for(Millis(2));
  }
  return false;
}

}  // namespace lab::proxy
