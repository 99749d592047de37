#include "bench/explore/http_connection.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace lab::bench::explore {
namespace {

// Takes one connection, sends what it is given for as long as somebody takes it, and closes.
class Speaker {
 public:
  explicit Speaker(std::string text) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, text = std::move(text)] {
      const int connection = accept(listener_, nullptr, nullptr);
      for (size_t sent = 0; sent < text.size();) {
        const ssize_t some = send(connection, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (some <= 0) break;
        sent += static_cast<size_t>(some);
      }
      char ignored[1024];
      while (recv(connection, ignored, sizeof(ignored), 0) > 0) {
      }
      close(connection);
    });
  }
  ~Speaker() {
    thread_.join();
    close(listener_);
  }
  int port() const { return port_; }

 private:
  const int listener_;
  int port_ = 0;
  std::thread thread_;
};

absl::StatusOr<HttpReply> Answer(const std::string& text) {
  Speaker speaker(text);
  HttpConnection connection(speaker.port());
  return connection.Call({}, Clock::now() + std::chrono::seconds(5));
}

TEST(HttpConnectionTest, ReadsAnAnswer) {
  const absl::StatusOr<HttpReply> reply = Answer("HTTP/1.1 200 OK\r\nX-Cache: hit\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->headers.at("x-cache"), "hit");
  EXPECT_EQ(reply->body, "ok");
}

TEST(HttpConnectionTest, AHeadHasABound) {
  EXPECT_EQ(Answer("HTTP/1.1 200 OK\r\nX: " + std::string(1 << 20, 'x')).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace lab::bench::explore
