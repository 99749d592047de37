#include "services/runtime/redis/connection.h"

#include <hiredis/async.h>
#include <hiredis/hiredis.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "services/runtime/obs/log.h"
#include "services/runtime/redis/protocol.h"

namespace lab::redis {
namespace {

namespace asio = boost::asio;

// How long a server that accepts bytes may answer nothing before its connection is replaced. A stopped server answers
// soonest on the connection that it has, so this is well above the pauses of a healthy one; a host that vanished
// without a word, or a process that hangs while another has taken over its address, needs a new connection.
constexpr Nanos kStallTimeout = Millis(2000);

Connection& Of(const redisAsyncContext* context) { return *static_cast<Connection*>(context->data); }

uint64_t Seed(const void* self) {
  return Mix(static_cast<uint64_t>(Clock::now().time_since_epoch().count()) ^ reinterpret_cast<uintptr_t>(self));
}

// hiredis writes without MSG_NOSIGNAL: a server that has closed the connection would end this process. A handler that
// the application has set stays.
void IgnoreBrokenPipe() {
  struct sigaction current = {};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

Connection::Connection(async::Loop& loop, const Options& options, Listener& listener, Counters counters)
    : loop_(loop),
      options_(options),
      listener_(&listener),
      counters_(counters),
      backoff_({options.reconnect_min, options.reconnect_max}, Seed(this)),
      resolver_(loop.io()),
      descriptor_(loop.io()),
      timer_(loop.io()) {
  IgnoreBrokenPipe();
}

void Connection::Start() { Connect(); }

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  listener_ = nullptr;
  ++generation_;
  ++timer_epoch_;
  timer_.cancel();
  resolver_.Cancel();
  if (context_ != nullptr) redisAsyncFree(context_);
}

std::string Connection::Address() const { return options_.host + ":" + std::to_string(options_.port); }

// ---- connecting ----

void Connection::Connect() {
  state_ = State::kConnecting;
  error_.clear();
  late_at_ = Clock::now() + options_.connect_timeout;
  if (async::HostResolver::IsAddress(options_.host)) return ConnectTo(options_.host);
  // hiredis would resolve a name by a call that blocks the loop.
  resolver_.Resolve(options_.host, options_.connect_timeout, [this](absl::StatusOr<std::string> address) {
    if (!address.ok()) return Drop(std::string(address.status().message()));
    ConnectTo(*address);
  });
}

void Connection::ConnectTo(const std::string& address) {
  redisAsyncContext* context = redisAsyncConnect(address.c_str(), options_.port);
  if (context == nullptr || context->err != 0) {
    const std::string why = context == nullptr ? "out of memory" : context->errstr;
    if (context != nullptr) redisAsyncFree(context);
    return Drop(why);
  }
  ArmTimer(late_at_ - Clock::now(), &Connection::OnLate);
  ++generation_;
  context_ = context;
  boost::system::error_code error;
  descriptor_.assign(context->c.fd, error);
  Hook(context);
  if (error) return Drop(error.message());
  redisAsyncSetConnectCallback(context,
                               [](const redisAsyncContext* c, int status) { Of(c).OnConnected(status == REDIS_OK); });
}

void Connection::Hook(redisAsyncContext* context) {
  context->data = this;
  context->ev.data = this;
  context->ev.addRead = [](void* self) { static_cast<Connection*>(self)->WaitReadable(); };
  context->ev.delRead = [](void*) {};
  // hiredis asks for writability at each command. We write at the end of the turn instead, and wait only for the
  // connection to stand and for a socket that did not take all.
  context->ev.addWrite = [](void* self) {
    auto* connection = static_cast<Connection*>(self);
    if (connection->writing_ || connection->state_ == State::kConnecting) connection->WaitWritable();
  };
  context->ev.delWrite = [](void*) {};
  context->ev.cleanup = [](void* self) { static_cast<Connection*>(self)->Forget(); };
}

void Connection::OnConnected(bool ok) {
  if (!ok || state_ != State::kConnecting) return;  // hiredis frees the context of a failed connection
  state_ = State::kHandshake;
  ArmTimer(kStallTimeout, &Connection::OnLate);
  redisEnableKeepAlive(&context_->c);
  if (!options_.password.empty()) Append<&Connection::OnAuth>(FormatCommand({"AUTH", options_.password}));
  Append<&Connection::OnInfo>(FormatCommand({"INFO", "cluster"}));
}

void Connection::OnAuth(void*, const redisReply* reply) {
  if (state_ != State::kHandshake || reply == nullptr || reply->type != REDIS_REPLY_ERROR) return;
  Refuse("the Redis server " + Address() + " refused the password: " + std::string(TextOf(reply)));
}

void Connection::OnInfo(void*, const redisReply* reply) {
  if (state_ != State::kHandshake || reply == nullptr) return;
  const std::string_view text = TextOf(reply);
  if (reply->type == REDIS_REPLY_ERROR && text.substr(0, 6) != "NOPERM") {
    const bool password = text.substr(0, 6) == "NOAUTH";
    return Refuse("the Redis server " + Address() + (password ? " wants a password: " : " refused INFO: ") +
                  std::string(text));
  }
  if (text.find("cluster_enabled:1") != std::string_view::npos) {
    return Refuse("the Redis server " + Address() +
                  " runs in cluster mode, which this client does not speak (it follows no MOVED or ASK): use a single "
                  "server, or one with replicas behind a fixed address, with cluster-enabled no");
  }
  state_ = State::kReady;
  ++timer_epoch_;
  timer_.cancel();
  ready_at_ = Clock::now();
  if (ever_ready_) counters_.reconnects.Increment();
  if (!ever_ready_ || failure_logged_) {
    obs::Log(obs::Level::kInfo, "redis_connected", {{"address", Address()}, {"again", ever_ready_}});
  }
  ever_ready_ = true;
  failure_logged_ = false;
  listener_->OnReady();
}

void Connection::Refuse(std::string_view text) {
  if (!failure_logged_) obs::Log(obs::Level::kError, "redis_refused", {{"reason", text}});
  failure_logged_ = true;
  listener_->OnRefused(absl::FailedPreconditionError(absl::string_view(text.data(), text.size())));
  Drop(text);
}

void Connection::OnLate() { Drop(state_ == State::kConnecting ? "not connected in time" : "connected, but no answer"); }

// ---- ending ----

void Connection::Drop(std::string_view why) {
  if (state_ == State::kClosed || state_ == State::kDropping) return;
  state_ = State::kDropping;
  error_ = why;
  if (context_ != nullptr) redisAsyncFree(context_);  // later, when a callback of it is running: see AfterHiredis
  AfterHiredis();
}

void Connection::Forget() {
  if (error_.empty()) error_ = context_->errstr != nullptr ? context_->errstr : "closed";
  context_ = nullptr;
  descriptor_.release();  // hiredis closes it
  ++generation_;
  waiting_read_ = waiting_write_ = dirty_ = false;
}

void Connection::AfterHiredis() {
  if (context_ == nullptr && state_ != State::kIdle && state_ != State::kClosed) ConnectLater();
}

void Connection::ConnectLater() {
  state_ = State::kIdle;
  owed_ = 0;
  loading_.clear();
  ++generation_;
  if (!failure_logged_) {
    failure_logged_ = true;
    obs::Log(obs::Level::kWarn, ever_ready_ ? "redis_connection_lost" : "redis_connect_failed",
             {{"address", Address()}, {"reason", error_}});
  }
  const bool stood = ready_at_ != Clock::time_point{};
  const Nanos delay = backoff_.Next(ready_at_, Clock::now());
  ready_at_ = {};
  ArmTimer(delay, &Connection::Connect);
  if (stood) listener_->OnLost();
}

void Connection::Suspect(Clock::time_point now) {
  if (state_ == State::kReady && owed_ > 0 && now - progress_at_ > kStallTimeout) Drop("no answer for too long");
}

// ---- bytes ----

void Connection::ArmTimer(Nanos delay, void (Connection::*then)()) {
  timer_.expires_after(delay);
  auto handler = [self = shared_from_this(), then, epoch = ++timer_epoch_](const boost::system::error_code& error) {
    if (!error && epoch == self->timer_epoch_) (self.get()->*then)();
  };
  timer_.async_wait(std::move(handler));
}

void Connection::WaitReadable() {
  if (waiting_read_) return;
  waiting_read_ = true;
  auto handler = [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
    if (generation != self->generation_ || error) return;
    self->waiting_read_ = false;
    self->progress_at_ = Clock::now();
    redisAsyncHandleRead(self->context_);
    self->AfterHiredis();
  };
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read, std::move(handler));
}

void Connection::WaitWritable() {
  if (waiting_write_) return;
  waiting_write_ = true;
  auto handler = [self = shared_from_this(), generation = generation_](const boost::system::error_code& error) {
    if (generation != self->generation_ || error) return;
    self->waiting_write_ = false;
    self->Write();
    if (self->context_ != nullptr && self->state_ == State::kConnecting) self->WaitWritable();
  };
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_write, std::move(handler));
}

void Connection::Write() {
  dirty_ = false;
  writing_ = true;
  redisAsyncHandleWrite(context_);
  writing_ = false;
  counters_.writes.Increment();
  AfterHiredis();
}

bool Connection::Flush() {
  if (!dirty_ || waiting_write_ || context_ == nullptr) return false;
  Write();
  return true;
}

template <void (Connection::*handler)(void*, const redisReply*)>
void Connection::Append(std::string_view command, void* token) {
  auto callback = [](redisAsyncContext* context, void* reply, void* privdata) {
    Connection& self = Of(context);
    if (reply != nullptr) {
      --self.owed_;
    } else if (self.state_ == State::kReady) {
      self.state_ = State::kDropping;  // hiredis is about to free the context: nothing may be appended any more
    }
    if (self.listener_ != nullptr) (self.*handler)(privdata, static_cast<const redisReply*>(reply));
  };
  // Fails only while the context is being freed, when we are not ready (0.14, 1.x: REDIS_DISCONNECTING, REDIS_FREEING).
  if (redisAsyncFormattedCommand(context_, callback, token, command.data(), command.size()) != REDIS_OK) {
    return (this->*handler)(token, nullptr);
  }
  if (owed_++ == 0) progress_at_ = Clock::now();
  dirty_ = true;
  counters_.commands.Increment();
}

void Connection::Send(std::string_view command, void* token) { Append<&Connection::OnSent>(command, token); }

void Connection::OnSent(void* token, const redisReply* reply) { listener_->OnReply(*this, token, reply); }

void Connection::LoadScript(const Script& script) {
  if (std::find(loading_.begin(), loading_.end(), script.sha()) != loading_.end()) return;
  loading_.push_back(script.sha());
  Append<&Connection::OnLoaded>(FormatCommand({"SCRIPT", "LOAD", script.text()}));
}

void Connection::OnLoaded(void*, const redisReply* reply) {
  if (reply == nullptr) return;
  loading_.pop_front();
  if (reply->type != REDIS_REPLY_ERROR) return;
  // The calls behind it fail with NOSCRIPT; the reason stands here.
  obs::Log(obs::Level::kWarn, "redis_script_refused", {{"reason", TextOf(reply)}});
}

}  // namespace lab::redis
