#include "services/runtime/redis/subscriber.h"

#include <hiredis/hiredis.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "services/runtime/async/backoff.h"
#include "services/runtime/async/host_resolver.h"
#include "services/runtime/base/random.h"
#include "services/runtime/base/text.h"
#include "services/runtime/obs/log.h"
#include "services/runtime/redis/protocol.h"

namespace lab::redis {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::string_view kInvalidate = "__redis__:invalidate";

struct FreeReader {
  void operator()(redisReader* reader) const { redisReaderFree(reader); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

std::string Join(const std::vector<std::string>& words) {
  std::string out;
  AppendHead(out, words.size());
  for (const std::string& word : words) AppendArgument(out, word);
  return out;
}

}  // namespace

// hiredis only parses here: its asynchronous API keeps replies of a subscribed connection in tables of its own, which
// differ between 0.14 and 1.x.
struct Subscriber::Impl : std::enable_shared_from_this<Subscriber::Impl> {
  enum class State { kIdle, kConnecting, kAuth, kAskingId, kSubscribing, kStanding, kClosed };

  Impl(async::Loop& l, const Options& o, std::vector<std::string> c, std::vector<std::string> p, Listener w,
       obs::Metrics& m)
      : options(o),
        channels(std::move(c)),
        prefixes(std::move(p)),
        listener(std::move(w)),
        connected(m.AddGauge("redis_subscriber_connected", "Whether the connection on which Redis tells stands")),
        messages(m.AddCounter("redis_subscriber_messages_total", "Messages that Redis has told")),
        reconnects(m.AddCounter("redis_subscriber_reconnects_total", "Times that the connection stood again")),
        backoff({o.reconnect_min, o.reconnect_max}, Mix(reinterpret_cast<uintptr_t>(this))),
        resolver(l.io()),
        socket(l.io()),
        timer(l.io()) {}

  void Connect();
  void ConnectTo(const std::string& address);
  void Greet();
  void Send(std::string command);
  void Receive();
  void TakeBytes(size_t size);
  void Take(const redisReply& reply);
  void TakeId(const redisReply& reply);
  void TakeConfirmation(const redisReply& reply);
  void TakeMessage(const redisReply& reply);
  void Stand();
  void Drop(std::string_view why);
  void ArmTimer(Nanos delay, std::function<void()> then);
  void Close();
  std::string Address() const { return Concat(options.host, ":", options.port); }

  const Options options;
  std::vector<std::string> channels;
  const std::vector<std::string> prefixes;
  Listener listener;
  obs::Gauge& connected;
  obs::Counter& messages;
  obs::Counter& reconnects;
  async::Backoff backoff;
  async::HostResolver resolver;
  tcp::socket socket;
  asio::steady_timer timer;

  State state = State::kIdle;
  uint64_t generation = 0;  // of the attempt: handlers of an older one do nothing
  std::unique_ptr<redisReader, FreeReader> reader;
  std::array<char, 16 * 1024> buffer{};
  size_t awaited = 0;  // replies until everything is confirmed
  Clock::time_point stood_at{};
  bool ever = false, failure_logged = false;
};

void Subscriber::Impl::ArmTimer(Nanos delay, std::function<void()> then) {
  timer.expires_after(delay);
  timer.async_wait(
      [self = shared_from_this(), at = generation, then = std::move(then)](const boost::system::error_code& error) {
        if (!error && at == self->generation) then();
      });
}

// ---- connecting ----

void Subscriber::Impl::Connect() {
  state = State::kConnecting;
  ++generation;
  reader.reset(redisReaderCreate());
  ArmTimer(options.connect_timeout, [this] { Drop("not connected in time"); });
  if (async::HostResolver::IsAddress(options.host)) return ConnectTo(options.host);
  resolver.Resolve(options.host, options.connect_timeout, [this](absl::StatusOr<std::string> address) {
    address.ok() ? ConnectTo(*address) : Drop(address.status().ToString());
  });
}

void Subscriber::Impl::ConnectTo(const std::string& address) {
  boost::system::error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error) return Drop(error.message());
  socket = tcp::socket(socket.get_executor());
  socket.async_connect({ip, static_cast<uint16_t>(options.port)},
                       [self = shared_from_this(), at = generation](const boost::system::error_code& failed) {
                         if (at != self->generation) return;
                         failed ? self->Drop(failed.message()) : self->Greet();
                       });
}

void Subscriber::Impl::Greet() {
  boost::system::error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  socket.set_option(tcp::no_delay(true), ignored);
  std::string greeting;
  if (!options.password.empty()) greeting = Join({"AUTH", options.password});
  state = options.password.empty() ? State::kAskingId : State::kAuth;
  Send(greeting + Join({"CLIENT", "ID"}));
  if (state != State::kIdle) Receive();
}

// A few hundred bytes: a new connection takes them at once.
void Subscriber::Impl::Send(std::string command) {
  auto bytes = std::make_shared<std::string>(std::move(command));  // shared with the write
  asio::async_write(
      socket, asio::buffer(*bytes),
      [self = shared_from_this(), at = generation, bytes](const boost::system::error_code& error, size_t) {
        if (error && at == self->generation) self->Drop(error.message());
      });
}

void Subscriber::Impl::Receive() {
  socket.async_read_some(asio::buffer(buffer), [self = shared_from_this(), at = generation](
                                                   const boost::system::error_code& error, size_t size) {
    if (at != self->generation) return;
    error ? self->Drop(error.message()) : self->TakeBytes(size);
    if (at == self->generation) self->Receive();
  });
}

void Subscriber::Impl::TakeBytes(size_t size) {
  const uint64_t at = generation;
  if (redisReaderFeed(reader.get(), buffer.data(), size) != REDIS_OK) return Drop("out of memory");
  while (at == generation) {
    void* parsed = nullptr;
    if (redisReaderGetReply(reader.get(), &parsed) != REDIS_OK) return Drop("not the protocol of Redis");
    if (parsed == nullptr) return;
    const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(parsed));
    Take(*reply);
  }
}

void Subscriber::Impl::Take(const redisReply& reply) {
  if (reply.type == REDIS_REPLY_ERROR) return Drop(TextOf(&reply));
  switch (state) {
    case State::kAuth:
      state = State::kAskingId;
      return;
    case State::kAskingId:
      return TakeId(reply);
    case State::kSubscribing:
      return TakeConfirmation(reply);
    case State::kStanding:
      return TakeMessage(reply);
    case State::kIdle:
    case State::kConnecting:
    case State::kClosed:
      return;
  }
}

void Subscriber::Impl::TakeId(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_INTEGER) return Drop("CLIENT ID was answered by no number");
  state = State::kSubscribing;
  std::vector<std::string> subscribe = {"SUBSCRIBE"};
  subscribe.insert(subscribe.end(), channels.begin(), channels.end());
  std::string commands;
  awaited = channels.size();
  if (!prefixes.empty()) {
    std::vector<std::string> track = {"CLIENT", "TRACKING", "ON", "REDIRECT", std::to_string(reply.integer), "BCAST"};
    for (const std::string& prefix : prefixes) {
      track.emplace_back("PREFIX");
      track.push_back(prefix);
    }
    subscribe.emplace_back(kInvalidate);
    commands = Join(track);
    awaited += 2;
  }
  Send(commands + Join(subscribe));
}

// Before the last confirmation messages of earlier channels may come: whoever listens begins at on_connected.
void Subscriber::Impl::TakeConfirmation(const redisReply& reply) {
  const bool confirms = reply.type == REDIS_REPLY_STATUS || (reply.type == REDIS_REPLY_ARRAY && reply.elements == 3 &&
                                                             TextOf(reply.element[0]) == "subscribe");
  if (confirms && --awaited == 0) Stand();
}

void Subscriber::Impl::Stand() {
  state = State::kStanding;
  timer.cancel();
  stood_at = Clock::now();
  if (ever) reconnects.Increment();
  if (!ever || failure_logged) obs::Log(obs::Level::kInfo, "redis_subscriber_stands", {{"address", Address()}});
  ever = true;
  failure_logged = false;
  connected.Set(1);
  if (listener.on_connected) listener.on_connected();
}

// ["message", channel, text]; of the tracker the text is a list of keys, or nil after a flush.
void Subscriber::Impl::TakeMessage(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ARRAY || reply.elements != 3 || TextOf(reply.element[0]) != "message") return;
  messages.Increment();
  const redisReply& told = *reply.element[2];
  if (TextOf(reply.element[1]) != kInvalidate) {
    if (listener.on_message) listener.on_message(TextOf(reply.element[1]), TextOf(&told));
    return;
  }
  if (told.type == REDIS_REPLY_NIL) {
    if (listener.on_flushed) listener.on_flushed();
    return;
  }
  const uint64_t at = generation;
  for (size_t i = 0; told.type == REDIS_REPLY_ARRAY && i < told.elements && at == generation; ++i) {
    if (listener.on_changed) listener.on_changed(TextOf(told.element[i]));
  }
}

// ---- ending ----

void Subscriber::Impl::Drop(std::string_view why) {
  if (state == State::kIdle || state == State::kClosed) return;
  const bool stood = state == State::kStanding;
  state = State::kIdle;
  ++generation;
  resolver.Cancel();
  boost::system::error_code ignored;
  socket.close(ignored);
  connected.Set(0);
  if (!failure_logged) {
    failure_logged = true;
    obs::Log(obs::Level::kWarn, stood ? "redis_subscriber_lost" : "redis_subscriber_failed",
             {{"address", Address()}, {"reason", why}});
  }
  ArmTimer(backoff.Next(std::exchange(stood_at, {}), Clock::now()), [this] { Connect(); });
  if (stood && listener.on_lost) listener.on_lost(absl::UnavailableError(View(why)));
}

void Subscriber::Impl::Close() {
  if (state == State::kClosed) return;
  state = State::kClosed;
  ++generation;
  timer.cancel();
  resolver.Cancel();
  boost::system::error_code ignored;
  socket.close(ignored);
  connected.Set(0);
}

Subscriber::Subscriber(async::Loop& loop, const Options& server, std::vector<std::string> channels,
                       std::vector<std::string> prefixes, Listener listener, obs::Metrics& metrics)
    : impl_(std::make_shared<Impl>(loop, server, std::move(channels), std::move(prefixes), std::move(listener),
                                   metrics)) {
  impl_->Connect();
}

Subscriber::~Subscriber() { Close(); }

bool Subscriber::connected() const { return impl_->state == Impl::State::kStanding; }
void Subscriber::Reconnect(std::string_view why) { impl_->Drop(why); }
void Subscriber::Close() { impl_->Close(); }

}  // namespace lab::redis
