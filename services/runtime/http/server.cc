#include "services/runtime/http/server.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/address.hpp>
#include <exception>
#include <utility>

#include "services/runtime/base/text.h"
#include "services/runtime/http/connection.h"
#include "services/runtime/http/core.h"
#include "services/runtime/http/message.h"
#include "services/runtime/obs/log.h"

namespace lab::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// Connections beyond the bound that are told so and then waited for (Connection::Refuse), at the same time.
constexpr size_t kRefusedAtOnce = 64;

// One more than that, told in passing: the few bytes go into the empty buffer of the socket, and what has come is taken
// out, so that closing is no reset. Never waits. (A request that comes later meets a reset, behind the answer.)
void RefuseInPassing(tcp::socket socket, int max_connections) {
  constexpr int kMostReads = 4;
  std::array<char, 8192> unread;
  boost::system::error_code error;
  socket.non_blocking(true, error);
  if (!error) socket.send(asio::buffer(Serialize(TooManyConnections(max_connections), false, false)), 0, error);
  if (!error) socket.shutdown(tcp::socket::shutdown_send, error);
  for (int i = 0; i < kMostReads && !error; ++i) socket.receive(asio::buffer(unread), 0, error);
}

// Answers with 500 when it is dropped before it was called.
class Responder {
 public:
  explicit Responder(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  Responder(Responder&&) = default;
  Responder& operator=(Responder&&) = delete;
  ~Responder() {
    if (connection_ == nullptr) return;
    connection_->Answer(Problem(500, "internal server error", "the request was dropped unanswered"));
  }
  void operator()(const Response& response) {
    if (connection_ != nullptr) std::exchange(connection_, nullptr)->Answer(response);
  }

 private:
  std::shared_ptr<Connection> connection_;
};

}  // namespace

Core::Core(async::Loop& loop, Server::Options options)
    : loop_(loop),
      options_(std::move(options)),
      acceptor_(loop.io()),
      accept_timer_(loop.io()),
      drain_timer_(loop.io()) {
  if (options_.metrics == nullptr) return;
  obs::Metrics& metrics = *options_.metrics;
  constexpr const char* kCodes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};
  for (int first = 2; first <= 5; ++first) {
    requests_[first] = &metrics.AddCounter("http_requests_total", "HTTP requests answered", {{"code", kCodes[first]}});
  }
  duration_ = &metrics.AddHistogram("http_request_duration_seconds", "From the first byte of a request to its answer",
                                    obs::LatencyBuckets());
  open_ = &metrics.AddGauge("http_open_connections", "Open HTTP connections");
  refused_ = &metrics.AddCounter("http_refused_connections_total", "Connections refused at the bound");
  shed_ = &metrics.AddCounter("http_shed_connections_total", "Connections without a request closed for newer ones");
}

void Core::Handle(std::string method, std::string path, Server::Handler handler) {
  const bool below = path.size() >= 2 && path.compare(path.size() - 2, 2, "/*") == 0;
  if (below) path.pop_back();
  (below ? below_ : exact_)[path].methods[std::move(method)] = std::move(handler);
}

absl::Status Core::Start() {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options_.host == "localhost" ? "127.0.0.1" : options_.host, error);
  if (error) return absl::InvalidArgumentError(Concat("http.host \"", options_.host, "\" is not an IP address"));
  const tcp::endpoint endpoint(address, static_cast<uint16_t>(options_.port));
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return absl::UnavailableError(
        Concat("cannot listen on ", options_.host, ":", options_.port, " for HTTP: ", error.message()));
  }
  port_ = acceptor_.local_endpoint().port();
  Accept();
  return absl::OkStatus();
}

void Core::Accept() {
  acceptor_.async_accept([self = shared_from_this()](const boost::system::error_code& error, tcp::socket socket) {
    if (!self->acceptor_.is_open()) return;
    if (!error) {
      self->Accepted(std::move(socket));
      self->Accept();
      return;
    }
    // Out of descriptors: trying again at once would spin, for the connection is still waiting.
    self->accept_timer_.expires_after(Millis(50));
    self->accept_timer_.async_wait([self](const boost::system::error_code& cancelled) {
      if (!cancelled && self->acceptor_.is_open()) self->Accept();
    });
  });
}

void Core::Accepted(tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  const size_t bound = static_cast<size_t>(std::max(options_.max_connections, 1));
  bool refuse = false;
  if (connections_.size() >= bound && Serving() >= bound) {
    // Makes room: otherwise clients that send half a request and wait would keep health checks and scrapes out.
    refuse = !CloseOldest(false);
    if (!refuse && shed_ != nullptr) shed_->Increment();
  }
  if (refuse && refused_ != nullptr) refused_->Increment();
  if (connections_.size() >= bound + kRefusedAtOnce) {
    if (refuse) return RefuseInPassing(std::move(socket), options_.max_connections);
    CloseOldest(true);
  }
  const auto connection = std::make_shared<Connection>(std::move(socket), shared_from_this());
  connections_.insert(connection);
  if (open_ != nullptr) open_->Set(static_cast<double>(connections_.size()));
  if (refuse) {
    connection->Refuse();
  } else {
    connection->Serve();
  }
}

size_t Core::Serving() const {
  return static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(),
                                           [](const auto& connection) { return !connection->lingering(); }));
}

bool Core::CloseOldest(bool lingering) {
  std::shared_ptr<Connection> oldest;
  for (const auto& connection : connections_) {
    if (!(lingering ? connection->lingering() : connection->awaits_request())) continue;
    if (oldest == nullptr || connection->waiting_since() < oldest->waiting_since()) oldest = connection;
  }
  if (oldest != nullptr) oldest->Close();
  return oldest != nullptr;
}

const Core::Route* Core::Find(const std::string& path) const {
  if (const auto found = exact_.find(path); found != exact_.end()) return &found->second;
  const Route* longest = nullptr;
  for (const auto& [prefix, route] : below_) {
    if (path.compare(0, prefix.size(), prefix) == 0) longest = &route;  // in order: a longer prefix comes later
  }
  return longest;
}

void Core::Dispatch(Request request, const std::shared_ptr<Connection>& connection) {
  const Route* route = Find(request.path);
  if (route == nullptr) {
    connection->Answer(Problem(404, "not found", Concat("nothing at ", request.path.substr(0, 200))));
    return;
  }
  auto method = route->methods.find(request.method);
  if (method == route->methods.end() && request.method == "HEAD") method = route->methods.find("GET");
  if (method == route->methods.end()) {
    std::string allowed;
    for (const auto& [name, handler] : route->methods) allowed += Concat(allowed.empty() ? "" : ", ", name);
    if (route->methods.count("GET") > 0 && route->methods.count("HEAD") == 0) allowed += ", HEAD";
    Response response = Problem(405, "method not allowed", Concat("allowed: ", allowed));
    response.headers.emplace_back("Allow", allowed);
    connection->Answer(response);
    return;
  }
  try {
    method->second(request, Responder(connection));
  } catch (const std::exception& thrown) {
    obs::Log(obs::Level::kError, "http_handler_threw", {{"path", request.path}, {"error", thrown.what()}});
  }
}

void Core::Answered(int status, Clock::time_point began) {
  if (duration_ == nullptr) return;
  requests_[std::clamp(status / 100, 2, 5)]->Increment();
  duration_->Observe(std::chrono::duration<double>(Clock::now() - began).count());
}

void Core::Gone(const std::shared_ptr<Connection>& connection) {
  connections_.erase(connection);
  if (open_ != nullptr) open_->Set(static_cast<double>(connections_.size()));
  MaybeDrained();
}

void Core::MaybeDrained() {
  if (!draining_ || !connections_.empty()) return;
  drain_timer_.cancel();
  for (absl::AnyInvocable<void()>& done : std::exchange(drained_, {})) loop_.Post(std::move(done));
}

void Core::Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done) {
  drained_.push_back(std::move(done));
  draining_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  drain_timer_.expires_at(deadline);
  drain_timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
    if (!cancelled) self->Close();
  });
  const std::vector<std::shared_ptr<Connection>> open(connections_.begin(), connections_.end());
  for (const auto& connection : open) connection->Drain();
  MaybeDrained();
}

void Core::Close() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  drain_timer_.cancel();
  const std::vector<std::shared_ptr<Connection>> open(connections_.begin(), connections_.end());
  for (const auto& connection : open) connection->Close();
}

bool Stream::Write(std::string bytes) {
  const auto connection = connection_.lock();
  return connection != nullptr && connection->WriteStream(std::move(bytes));
}

size_t Stream::unsent() const {
  const auto connection = connection_.lock();
  return connection == nullptr ? 0 : connection->unsent();
}

bool Stream::open() const {
  const auto connection = connection_.lock();
  return connection != nullptr && connection->streaming();
}

void Stream::Close() {
  if (const auto connection = connection_.lock(); connection != nullptr && connection->streaming()) connection->Close();
}

void Stream::OnSent(absl::AnyInvocable<void()> callback) {
  if (const auto connection = connection_.lock()) connection->OnSent(std::move(callback));
}

void Stream::OnEnd(absl::AnyInvocable<void()> callback) {
  if (const auto connection = connection_.lock()) connection->OnEnd(std::move(callback));
}

Server::Server(async::Loop& loop, Options options) : core_(std::make_shared<Core>(loop, std::move(options))) {}
Server::~Server() { core_->Close(); }

void Server::Handle(std::string method, std::string path, Handler handler) {
  core_->Handle(std::move(method), std::move(path), std::move(handler));
}

absl::Status Server::Start() { return core_->Start(); }
int Server::port() const { return core_->port(); }

void Server::Drain(Clock::time_point deadline, absl::AnyInvocable<void()> done) {
  core_->Drain(deadline, std::move(done));
}

}  // namespace lab::http
