#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace lab::bench {

// Accepts connections on a free port of 127.0.0.1, one thread each, and answers each HTTP/1.1 request with the raw
// bytes the handler returns; "" closes the connection, and so does an answer with "connection: close".
class HttpTestServer {
 public:
  // From the whole request to the whole answer, on the connection's thread.
  using Handler = std::function<std::string(const std::string& request)>;

  // More than `most` connections at once are closed as soon as they are accepted.
  explicit HttpTestServer(Handler handler, size_t most = SIZE_MAX);
  ~HttpTestServer();
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(port_); }
  uint64_t connections() const { return connections_; }

 private:
  void Accept();
  void Serve(int fd);

  Handler handler_;
  const size_t most_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<uint64_t> connections_{0};
  std::atomic<size_t> serving_{0};
  std::thread acceptor_;
  std::vector<std::thread> threads_;
  std::vector<int> connections_open_;  // closed with the server, so that a number is not used twice
};

}  // namespace lab::bench
