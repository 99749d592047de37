// What the cache-aside API is measured against over HTTP:
//
//   bare_http echo --port N                  Boost.Beast alone: reads a request, writes the same answer to each
//   bare_http get --port N --redis-port N    the service's own server and Redis adapter: one GET for each request, the
//                                            value as the body; nothing is looked at or decided
//
// The answers carry as many bytes and headers as those of the service. Ends on SIGTERM; one thread.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "services/runtime/async/loop.h"
#include "services/runtime/http/server.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

// Of the brand in the path: a load looks whether an answer is to its question.
std::string BodyFor(std::string_view target) {
  constexpr std::string_view kBefore = "/v1/brands/";
  target.remove_prefix(std::min(target.size(), kBefore.size()));
  std::string body = "{\"brand\":\"";
  body += target.substr(0, target.find('/'));
  body +=
      "\",\"window\":\"24h\",\"version\":1,\"posts\":20,\"correction\":0,\"authors\":20,\"sentiment\":10.00,"
      "\"likes_median\":10,\"likes_p99\":20,\"arabic\":0}";
  return body;
}

constexpr std::pair<const char*, const char*> kHeaders[] = {{"ETag", "W/\"v1-24h-0a1b2c3d\""},
                                                            {"Age", "1"},
                                                            {"Cache-Control", "max-age=60"},
                                                            {"X-Version", "1"},
                                                            {"X-Cache", "hit"},
                                                            {"X-Cache-Tier", "l1"}};

class Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(asio::ip::tcp::socket socket) : socket_(std::move(socket)) {}
  void Read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error) self->Write();
    });
  }

 private:
  void Write() {
    response_ = {http::status::ok, request_.version()};
    response_.set(http::field::date, "Sun, 22 Nov 2026 12:00:00 GMT");
    response_.set(http::field::content_type, "application/json");
    for (const auto& [name, value] : kHeaders) response_.set(name, value);
    response_.keep_alive(request_.keep_alive());
    response_.body() = BodyFor({request_.target().data(), request_.target().size()});
    response_.prepare_payload();
    http::async_write(socket_, response_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (!error && self->response_.keep_alive()) self->Read();
    });
  }

  asio::ip::tcp::socket socket_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> response_;
};

void Accept(asio::ip::tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](beast::error_code error, asio::ip::tcp::socket socket) {
    if (error) return;
    socket.set_option(asio::ip::tcp::no_delay(true));
    std::make_shared<Session>(std::move(socket))->Read();
    Accept(acceptor);
  });
}

int Echo(int port) {
  asio::io_context io(1);
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::make_address("127.0.0.1"), static_cast<asio::ip::port_type>(port)});
  Accept(acceptor);
  io.run();
  return 0;
}

int Get(int port, int redis_port) {
  lab::async::Loop loop;
  lab::obs::Metrics metrics;
  lab::redis::Options options;
  options.port = redis_port;
  options.deadline = std::chrono::seconds(1);
  lab::redis::Client redis(loop, options, metrics);
  lab::http::Server server(loop, {.port = port, .metrics = &metrics});
  server.Handle("GET", "/v1/brands/*", [&redis](const lab::http::Request& request, lab::http::Server::Respond respond) {
    const std::string_view get[] = {"GET", request.path};
    redis.Command(get, [respond = std::move(respond)](absl::StatusOr<lab::redis::Reply> reply) mutable {
      if (!reply.ok()) return respond(lab::http::FromStatus(reply.status()));
      lab::http::Response response;
      response.content_type = "application/json";
      response.body = std::string(reply->text());
      for (const auto& [name, value] : kHeaders) response.headers.emplace_back(name, value);
      respond(std::move(response));
    });
  });
  if (const absl::Status status = server.Start(); !status.ok()) {
    std::fprintf(stderr, "bare_http: %s\n", std::string(status.message()).c_str());
    return 69;
  }
  loop.Run();
  return 0;
}

std::optional<int> PortAfter(int argc, char** argv, const std::string& option) {
  for (int i = 2; i + 1 < argc; ++i) {
    if (argv[i] == option) return std::atoi(argv[i + 1]);
  }
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  const std::optional<int> port = PortAfter(argc, argv, "--port"), redis = PortAfter(argc, argv, "--redis-port");
  if (mode == "echo" && port) return Echo(*port);
  if (mode == "get" && port && redis) return Get(*port, *redis);
  std::fprintf(stderr, "usage: bare_http echo --port N | bare_http get --port N --redis-port N\n");
  return 64;
}
