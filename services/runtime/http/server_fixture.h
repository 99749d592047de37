#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/server.h"
#include "services/runtime/obs/metrics.h"

// A server on a loop in a thread of its own, and a client that sees every byte; for the tests of this folder.
namespace lab::http {

inline constexpr std::string_view kGet = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";

// A client that sees every byte.
class RawClient {
 public:
  explicit RawClient(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  void Send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;  // the server may close before it has all
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  void CloseHalf() { shutdown(fd_, SHUT_WR); }

  // Reads until `count` bodies that end in `end` have come, or the connection ends.
  std::string ReadUntil(std::string_view end, int count = 1) {
    while (Occurrences(end) < count && ReadMore()) {
    }
    return received_;
  }
  std::string ReadAll() {
    while (ReadMore()) {
    }
    return received_;
  }
  bool closed() const { return closed_; }

 private:
  int Occurrences(std::string_view text) const {
    int count = 0;
    for (size_t at = received_.find(text); at != std::string::npos; at = received_.find(text, at + 1)) ++count;
    return count;
  }
  bool ReadMore() {
    pollfd waiting{fd_, POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return false;
    char buffer[16 << 10];
    const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
    if (got <= 0) {
      closed_ = true;
      return false;
    }
    received_.append(buffer, static_cast<size_t>(got));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string received_;
};

class ServerTest : public testing::Test {
 protected:
  ~ServerTest() override { Stop(); }

  void Start(Server::Options options = {}) {
    options.metrics = &metrics_;
    server_ = std::make_unique<Server>(loop_, options);
    server_->Handle("GET", "/hello", [](const Request& request, Server::Respond respond) {
      const auto name = request.query.find("name");
      respond({200, "text/plain", name == request.query.end() ? "hello" : Concat("hello ", name->second), {}});
    });
    server_->Handle("POST", "/echo", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat(request.body, "!"), {{"X-Forged", "a\r\nX-Evil: b"}}});
    });
    server_->Handle("GET", "/tree/*", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat("tree:", request.path), {}});
    });
    server_->Handle("GET", "/tree/leaf/*", [](const Request&, Server::Respond respond) {
      respond({200, "text/plain", "leaf", {}});
    });
    server_->Handle("GET", "/headers", [](const Request& request, Server::Respond respond) {
      respond({200, "text/plain", Concat(request.Header("x-one"), "|", obs::FormatTraceparent(request.trace)), {}});
    });
    server_->Handle("GET", "/drop", [](const Request&, Server::Respond) {});
    server_->Handle("GET", "/throw", [](const Request&, Server::Respond) { throw std::runtime_error("no"); });
    server_->Handle("GET", "/big", [](const Request&, Server::Respond respond) {
      respond({200, "text/plain", std::string(32 << 20, 'x'), {}});
    });
    server_->Handle("GET", "/later", [this](const Request&, Server::Respond respond) {
      waiting_.push_back(std::move(respond));
      ++waiting_count_;
    });
    ASSERT_TRUE(server_->Start().ok());
    thread_ = std::thread([this] { loop_.Run(); });
  }

  // Runs on the loop and waits for it.
  void OnLoop(std::function<void()> what) {
    std::promise<void> done;
    loop_.Post([&] {
      what();
      done.set_value();
    });
    done.get_future().wait();
  }

  void Stop() {
    if (!thread_.joinable()) return;
    OnLoop([this] {
      waiting_.clear();
      server_.reset();
    });
    loop_.Stop();
    thread_.join();
  }

  void AnswerWaiting() {
    OnLoop([this] {
      for (Server::Respond& respond : waiting_) respond({200, "text/plain", "finally", {}});
      waiting_.clear();
    });
  }

  template <typename Condition>
  bool WaitUntil(Condition condition) {
    const auto end = Clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (Clock::now() > end) return false;
      std::this_thread::sleep_for(Millis(1));
    }
    return true;
  }

  std::string Ask(std::string_view request) {
    RawClient client(server_->port());
    client.Send(request);
    client.CloseHalf();
    return client.ReadAll();
  }

  double Metric(const std::string& name) {
    const std::string text = metrics_.Text();
    const size_t at = text.find(Concat("\n", name, " "));
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  async::Loop loop_;
  obs::Metrics metrics_;
  std::unique_ptr<Server> server_;
  std::vector<Server::Respond> waiting_;  // on the loop's thread
  std::atomic<int> waiting_count_ = 0;
  std::thread thread_;
};

}  // namespace lab::http
