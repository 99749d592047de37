#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

namespace lab::bench {

// A gRPC server for tests, on nghttp2 and a thread of its own: it can do what a real one rarely does. Listens on a free
// port of 127.0.0.1. Start and Kill from the test's thread, again and again on the same port.
class GrpcTestServer {
 public:
  struct Answer {
    enum class Kind {
      kMessage,       // headers, message, trailers
      kTrailersOnly,  // status in the only headers
      kSilence,       // nothing, ever
      kRefuseStream,  // RST_STREAM(REFUSED_STREAM): certainly not processed
      kBreakStream,   // RST_STREAM(INTERNAL_ERROR)
      kHttpStatus,    // `status` is an HTTP status, and there is no gRPC in the answer
      kGoAway,        // a message, and GOAWAY on the connection
    } kind = Kind::kMessage;
    int status = 0;
    std::string message;
  };
  // From the message (without prefix) and the headers as "name: value\n…" to the answer; on the server's thread.
  using Handler = std::function<Answer(const std::string& message, const std::string& headers)>;

  explicit GrpcTestServer(Handler handler);
  ~GrpcTestServer();

  void Start();
  // Closes all connections and the listener at once, as a killed process does.
  void Kill();
  std::string endpoint() const;
  uint64_t received() const { return received_; }
  uint64_t reset_by_client() const { return reset_; }
  uint64_t connections() const { return connections_; }

 private:
  struct Connection;
  friend struct Connection;
  void Serve();

  Handler handler_;
  int port_ = 0;
  int listener_ = -1;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> received_{0}, reset_{0}, connections_{0};
};

}  // namespace lab::bench
