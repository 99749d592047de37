#include "bench/proxy/proxy.h"

#include <algorithm>
#include <boost/asio/connect.hpp>
#include <charconv>
#include <utility>

#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"

namespace lab::proxy {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr Millis kAcceptPause{50};
constexpr std::chrono::seconds kConnectTimeout{10};

absl::StatusOr<tcp::endpoint> LoopbackEndpoint(const std::string& text) {
  const std::optional<HostPort> parsed = ParseHostPort(text.empty() ? ":0" : text);
  if (!parsed) {
    const bool no_port = text.find(':') == std::string::npos;
    return absl::InvalidArgumentError(
        Concat("address ", text, ": ", no_port ? "missing port in address" : "not host:port"));
  }
  const bool local = parsed->host.empty() || parsed->host == "localhost";
  boost::system::error_code error;
  const auto address = asio::ip::make_address(local ? "127.0.0.1" : parsed->host, error);
  if (error || !address.is_loopback()) {
    return absl::InvalidArgumentError(
        Concat("address ", text, ": this proxy listens on loopback addresses only, as 127.0.0.1:0"));
  }
  return tcp::endpoint(address, static_cast<uint16_t>(parsed->port));
}

std::string TextOf(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? Concat("[", host, "]:", endpoint.port()) : Concat(host, ":", endpoint.port());
}

}  // namespace

std::optional<HostPort> ParseHostPort(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  HostPort parsed{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
  if (error != std::errc() || end != digits.data() + digits.size() || parsed.port < 0 || parsed.port > 65535) {
    return std::nullopt;
  }
  return parsed;
}

class Proxy::Core : public std::enable_shared_from_this<Core> {
 public:
  Core(asio::io_context& loop, std::span<char> shared, Random& dice, std::string its_name, std::string its_listen,
       std::string its_upstream)
      : io(loop),
        buffer(shared),
        random(dice),
        name(std::move(its_name)),
        listen(std::move(its_listen)),
        upstream(std::move(its_upstream)),
        acceptor(loop),
        pause(loop) {}

  absl::Status Start();
  void Stop();

  asio::io_context& io;
  const std::span<char> buffer;
  Random& random;
  const std::string name;
  std::string listen, upstream;
  std::vector<Toxic> toxics[2];  // by stream
  Proxy::Counters counters;
  std::unordered_set<std::shared_ptr<Connection>> connections;
  bool enabled = false;

 private:
  // A client whose upstream is not connected yet.
  struct Dial {
    explicit Dial(asio::io_context& io) : server(io), resolver(io), timer(io) {}
    tcp::socket server;
    tcp::resolver resolver;
    asio::steady_timer timer;
    uint64_t run = 0;
  };

  void Accept();
  void Connect(tcp::socket client);
  void Connected(const boost::system::error_code& error, tcp::socket client, Dial& dial);

  tcp::acceptor acceptor;
  asio::steady_timer pause;
  uint64_t run = 0;  // what was begun before a stop is not for the time after it
};

absl::Status Proxy::Core::Start() {
  if (enabled) return absl::OkStatus();
  const absl::StatusOr<tcp::endpoint> endpoint = LoopbackEndpoint(listen);
  if (!endpoint.ok()) return absl::InvalidArgumentError(Concat("listen tcp: ", endpoint.status().message()));
  boost::system::error_code error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor.close(ignored);
    const bool taken = error == asio::error::address_in_use;
    return absl::UnavailableError(
        Concat("listen tcp ", TextOf(*endpoint), ": ", taken ? "bind: address already in use" : error.message()));
  }
  listen = TextOf(acceptor.local_endpoint());
  enabled = true;
  ++run;
  Accept();
  return absl::OkStatus();
}

void Proxy::Core::Stop() {
  if (!enabled) return;
  enabled = false;
  ++run;
  boost::system::error_code ignored;
  acceptor.close(ignored);
  pause.cancel();
  const std::vector<std::shared_ptr<Connection>> open(connections.begin(), connections.end());
  for (const auto& connection : open) connection->Close(false);
}

void Proxy::Core::Accept() {
  acceptor.async_accept(
      [self = shared_from_this(), now = run](const boost::system::error_code& error, tcp::socket client) {
        if (now != self->run) return;
        if (!error) {
          ++self->counters.accepted;
          self->Connect(std::move(client));
          self->Accept();
          return;
        }
        // Out of descriptors: trying again at once would spin, for the connection is still waiting.
        self->pause.expires_after(kAcceptPause);
        self->pause.async_wait([self, now](const boost::system::error_code& cancelled) {
          if (!cancelled && now == self->run) self->Accept();
        });
      });
}

void Proxy::Core::Connect(tcp::socket client) {
  const auto dial = std::make_shared<Dial>(io);
  dial->run = run;
  dial->timer.expires_after(kConnectTimeout);
  dial->timer.async_wait([dial](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    boost::system::error_code ignored;
    dial->resolver.cancel();
    dial->server.close(ignored);
  });
  auto connected = [self = shared_from_this(), dial, socket = std::make_shared<tcp::socket>(std::move(client))](
                       const boost::system::error_code& error, const auto&...) {
    self->Connected(error, std::move(*socket), *dial);
  };
  const std::optional<HostPort> target = ParseHostPort(upstream);
  if (!target) {
    connected(asio::error::make_error_code(asio::error::invalid_argument));
    return;
  }
  boost::system::error_code error;
  const auto address = asio::ip::make_address(target->host.empty() ? "127.0.0.1" : target->host, error);
  if (!error) {
    dial->server.async_connect(tcp::endpoint(address, static_cast<uint16_t>(target->port)), connected);
    return;
  }
  dial->resolver.async_resolve(
      target->host, std::to_string(target->port),
      [dial, connected](const boost::system::error_code& unresolved, const tcp::resolver::results_type& found) {
        if (unresolved) {
          connected(unresolved);
        } else {
          asio::async_connect(dial->server, found, connected);
        }
      });
}

void Proxy::Core::Connected(const boost::system::error_code& error, tcp::socket client, Dial& dial) {
  dial.timer.cancel();
  if (error) {
    ++counters.not_connected;
    obs::Log(obs::Level::kWarn, "upstream_not_connected",
             {{"proxy", name}, {"upstream", upstream}, {"error", error.message()}});
    return;  // which closes the client
  }
  if (dial.run != run) return;
  const auto connection = std::make_shared<Connection>(
      std::move(client), std::move(dial.server), buffer, random, counters.upstream, counters.downstream,
      [core = weak_from_this()](const std::shared_ptr<Connection>& gone) {
        if (const auto self = core.lock()) self->connections.erase(gone);
      });
  connections.insert(connection);
  std::vector<Toxic> all = toxics[0];
  all.insert(all.end(), toxics[1].begin(), toxics[1].end());
  connection->Start(all);
}

Proxy::Proxy(asio::io_context& io, std::span<char> buffer, Random& random, std::string name, std::string listen,
             std::string upstream)
    : core_(std::make_shared<Core>(io, buffer, random, std::move(name), std::move(listen), std::move(upstream))) {}
Proxy::~Proxy() { core_->Stop(); }

absl::Status Proxy::Start() { return core_->Start(); }
void Proxy::Stop() { core_->Stop(); }

absl::StatusOr<bool> Proxy::Differs(const std::string& listen, const std::string& upstream) const {
  const absl::StatusOr<tcp::endpoint> endpoint = LoopbackEndpoint(listen);
  if (!endpoint.ok()) return endpoint.status();
  return TextOf(*endpoint) != core_->listen || upstream != core_->upstream;
}

absl::Status Proxy::Change(const std::string& listen, const std::string& upstream) {
  const absl::StatusOr<bool> differs = Differs(listen, upstream);
  if (!differs.ok()) return differs.status();
  if (!*differs) return absl::OkStatus();
  core_->Stop();
  core_->listen = listen;
  core_->upstream = upstream;
  return absl::OkStatus();
}

const std::string& Proxy::name() const { return core_->name; }
const std::string& Proxy::listen() const { return core_->listen; }
const std::string& Proxy::upstream() const { return core_->upstream; }
bool Proxy::enabled() const { return core_->enabled; }
Proxy::Counters Proxy::counters() const { return core_->counters; }
size_t Proxy::connections() const { return core_->connections.size(); }

std::vector<Toxic> Proxy::toxics() const {
  std::vector<Toxic> all = core_->toxics[0];
  all.insert(all.end(), core_->toxics[1].begin(), core_->toxics[1].end());
  return all;
}

const Toxic* Proxy::FindToxic(const std::string& name) const {
  for (const std::vector<Toxic>& toxics : core_->toxics) {
    for (const Toxic& toxic : toxics) {
      if (toxic.name == name) return &toxic;
    }
  }
  return nullptr;
}

void Proxy::AddToxic(Toxic toxic) {
  const std::vector<std::shared_ptr<Connection>> open(core_->connections.begin(), core_->connections.end());
  for (const auto& connection : open) connection->AddToxic(toxic);
  core_->toxics[static_cast<size_t>(toxic.stream)].push_back(std::move(toxic));
}

void Proxy::UpdateToxic(const Toxic& toxic) {
  for (Toxic& known : core_->toxics[static_cast<size_t>(toxic.stream)]) {
    if (known.name == toxic.name) known = toxic;
  }
  const std::vector<std::shared_ptr<Connection>> open(core_->connections.begin(), core_->connections.end());
  for (const auto& connection : open) connection->UpdateToxic(toxic);
}

void Proxy::RemoveToxic(const std::string& name) {
  const Toxic* found = FindToxic(name);
  if (found == nullptr) return;
  const Toxic toxic = *found;
  std::vector<Toxic>& toxics = core_->toxics[static_cast<size_t>(toxic.stream)];
  toxics.erase(std::find_if(toxics.begin(), toxics.end(), [&](const Toxic& each) { return each.name == name; }));
  const std::vector<std::shared_ptr<Connection>> open(core_->connections.begin(), core_->connections.end());
  for (const auto& connection : open) connection->RemoveToxic(toxic);
}

}  // namespace lab::proxy
