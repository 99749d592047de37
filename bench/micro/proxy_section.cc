// The fault proxy without a toxic, against no proxy: what it adds to a round trip, and how much it carries.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/micro/paired.h"
#include "bench/micro/sections.h"
#include "bench/run/ports.h"
#include "services/runtime/base/file.h"

namespace lab::bench {
namespace {

// What the proxy is to reach.
constexpr double kWantedAddedUs = 100, kWantedGbits = 5;

constexpr size_t kPing = 64;          // a small request, as to a store
constexpr size_t kBlock = 256 << 10;  // a write of the sender
constexpr int kPatienceMs = 5'000;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Prepare(int fd) {
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const timeval patience{kPatienceMs / 1000, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

absl::Status Broken(const char* what) { return absl::UnavailableError(absl::StrCat("the connection broke: ", what)); }

// The other end: on a thread of its own it sends back what comes to kEcho and counts what comes to kSink.
class FarEnd {
 public:
  enum Kind { kEcho, kSink };
  explicit FarEnd(Kind kind) : kind_(kind), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    ok_ = bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 && listen(listener_.get(), 8) == 0 &&
          getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
    port_ = ntohs(address.sin_port);
    if (ok_) thread_ = std::thread([this] { Serve(); });
  }
  ~FarEnd() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  bool ok() const { return ok_; }
  int port() const { return port_; }
  uint64_t received() const { return received_; }

 private:
  void Serve() {
    while (!stop_) {
      pollfd waiting{listener_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 20) != 1) continue;
      const Descriptor client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (client.get() >= 0) Answer(client.get());
    }
  }
  // Until the client closes, as each measurement does at its end.
  void Answer(int fd) {
    Prepare(fd);
    std::vector<char> buffer(kBlock);
    for (;;) {
      const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      received_ += static_cast<uint64_t>(got);
      if (kind_ == kEcho && send(fd, buffer.data(), static_cast<size_t>(got), MSG_NOSIGNAL) != got) return;
    }
  }

  const Kind kind_;
  const Descriptor listener_;
  bool ok_ = false;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> received_{0};
  std::thread thread_;
};

// The median of round trips of kPing bytes, one at a time, in microseconds.
absl::StatusOr<double> RoundTrip(int port, double seconds) {
  const Descriptor connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Prepare(connection.get());
  const sockaddr_in address = Loopback(port);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Broken("connect");
  }
  char ping[kPing] = {};
  std::vector<double> took;
  const Clock::time_point end =
      Clock::now() + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
  for (Clock::time_point now = Clock::now(); now < end;) {
    if (send(connection.get(), ping, kPing, MSG_NOSIGNAL) != static_cast<ssize_t>(kPing)) return Broken("send");
    for (size_t got = 0; got < kPing;) {
      const ssize_t some = recv(connection.get(), ping, kPing - got, 0);
      if (some <= 0) return Broken("receive");
      got += static_cast<size_t>(some);
    }
    const Clock::time_point done = Clock::now();
    took.push_back(std::chrono::duration<double, std::micro>(done - now).count());
    now = done;
  }
  return Median(std::move(took));
}

// One connection as full as it goes, in Gbit/s of what arrives.
absl::StatusOr<double> Throughput(const FarEnd& sink, int port, double seconds) {
  const Descriptor connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Prepare(connection.get());
  const sockaddr_in address = Loopback(port);
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Broken("connect");
  }
  const std::string block(kBlock, 'x');
  const Clock::time_point begin = Clock::now();
  const Clock::time_point measured = begin + Millis(50);  // windows have opened by then
  const Clock::time_point end = measured + std::chrono::duration_cast<Nanos>(std::chrono::duration<double>(seconds));
  uint64_t before = 0;
  Clock::time_point from{}, now = begin;
  for (; now < end; now = Clock::now()) {
    if (send(connection.get(), block.data(), block.size(), MSG_NOSIGNAL) <= 0) return Broken("send");
    if (from == Clock::time_point{} && now >= measured) {
      before = sink.received();
      from = Clock::now();
    }
  }
  const uint64_t received = sink.received() - before;
  return static_cast<double>(received) * 8 / 1e9 / std::chrono::duration<double>(now - from).count();
}

// Two proxies, before the echo and before the sink; their ports.
struct Proxied {
  Server server;
  int echo = 0, sink = 0;
};

absl::StatusOr<Proxied> StartProxy(const Setup& setup, int echo, int sink) {
  Proxied proxied;
  int api = 0;
  for (int* port : {&api, &proxied.echo, &proxied.sink}) {
    const absl::StatusOr<int> found = FreePort();
    if (!found.ok()) return found.status();
    *port = *found;
  }
  const auto proxy = [](const char* name, int listen, int upstream) {
    return absl::StrCat(R"({"name":")", name, R"(","listen":"127.0.0.1:)", listen, R"(","upstream":"127.0.0.1:)",
                        upstream, "\"}");
  };
  const std::string file = absl::StrCat(setup.folder(), "/proxy.json");
  const std::string config =
      absl::StrCat("[", proxy("echo", proxied.echo, echo), ",", proxy("sink", proxied.sink, sink), "]\n");
  if (absl::Status written = WriteFileAtomic(file, config); !written.ok()) return written;
  absl::StatusOr<Server> server = StartServer(setup, {.name = "fault_proxy",
                                                      .binary = absl::StrCat(setup.build, "/bench/proxy/fault_proxy"),
                                                      .arguments = {"--port", absl::StrCat(api), "--config", file},
                                                      .port = api});
  if (!server.ok()) return server.status();
  proxied.server = *std::move(server);
  return proxied;
}

void Print(const char* what, const std::vector<double>& direct, const std::vector<double>& ours, const char* unit) {
  const Quartiles without = QuartilesOf(direct), with = QuartilesOf(ours);
  std::printf("  %-28s %10.1f %10.1f %6.1f-%-6.1f %s\n", what, without.median, with.median, with.low, with.high, unit);
}

}  // namespace

absl::Status BenchProxy(const Setup& setup) {
  const FarEnd echo(FarEnd::kEcho), sink(FarEnd::kSink);
  if (!echo.ok() || !sink.ok()) return absl::UnavailableError("cannot listen on loopback");
  const absl::StatusOr<Proxied> proxied = StartProxy(setup, echo.port(), sink.port());
  if (!proxied.ok()) return proxied.status();

  std::vector<double> direct_us, ours_us, added_us, direct_gbits, ours_gbits;
  const auto measure = [](absl::StatusOr<double> value, std::vector<double>& into) {
    if (value.ok()) into.push_back(*value);
    return value.status();
  };
  absl::Status status = Alternate(
      setup.rounds(), [&] { return measure(RoundTrip(echo.port(), setup.seconds()), direct_us); },
      [&] { return measure(RoundTrip(proxied->echo, setup.seconds()), ours_us); });
  if (!status.ok()) return status;
  status = Alternate(
      setup.rounds(), [&] { return measure(Throughput(sink, sink.port(), setup.seconds()), direct_gbits); },
      [&] { return measure(Throughput(sink, proxied->sink, setup.seconds()), ours_gbits); });
  if (!status.ok()) return status;
  for (size_t i = 0; i < ours_us.size(); ++i) added_us.push_back(ours_us[i] - direct_us[i]);

  std::printf("\nproxy: the fault proxy without a toxic, on loopback, against no proxy\n");
  std::printf("  %-28s %10s %10s %13s\n", "", "direct", "proxied", "quartiles");
  Print("round trip of 64 bytes, p50", direct_us, ours_us, "µs");
  Print("one connection, one way", direct_gbits, ours_gbits, "Gbit/s");
  const Quartiles added = QuartilesOf(added_us), carried = QuartilesOf(ours_gbits);
  std::printf(
      "  (wanted: at most %.0f us added to the median round trip: %.1f us, %s; at least %.0f Gbit/s: %.1f, %s)\n",
      kWantedAddedUs, added.median, AtMost(added, kWantedAddedUs), kWantedGbits, carried.median,
      AtLeast(carried, kWantedGbits));
  std::fflush(stdout);
  return absl::OkStatus();
}

}  // namespace lab::bench
