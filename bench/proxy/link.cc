#include "bench/proxy/link.h"

#include <sys/socket.h>

#include <cerrno>

namespace lab::proxy {
namespace {

using boost::asio::ip::tcp;

// Reads in one event before other connections have their turn.
constexpr int kReadsAtOnce = 4;

}  // namespace

Link::Link(tcp::socket& source, tcp::socket& destination, std::span<char> buffer, Random& random, Traffic& traffic,
           Owner& owner)
    : source_(source),
      destination_(destination),
      buffer_(buffer),
      traffic_(traffic),
      owner_(owner),
      pipeline_(random),
      timer_(source.get_executor()) {}

void Link::Pump() {
  if (stopped_ || delivered_) return;
  pipeline_.Run(Clock::now());
  if (!writing_ && !Write()) {
    if (stopped_) return;
    AwaitWritable();
  }
  if (pipeline_.output().empty() && pipeline_.end()) {
    delivered_ = true;
    timer_.cancel();
    owner_.Delivered(*this, *pipeline_.end());
    return;
  }
  if (!reading_ && pipeline_.Wants()) AwaitReadable();
  AwaitDue();
}

void Link::SourceGone(End end) {
  pipeline_.PushEnd(end, Clock::now());
  Pump();
}

void Link::Stop() {
  stopped_ = true;
  timer_.cancel();
}

void Link::AwaitReadable() {
  reading_ = true;
  source_.async_wait(tcp::socket::wait_read, [this, held = owner_.Hold()](const boost::system::error_code& error) {
    reading_ = false;
    if (!error && !stopped_) OnReadable();
  });
}

void Link::OnReadable() {
  for (int i = 0; i < kReadsAtOnce && pipeline_.Wants() && ReadOnce(); ++i) {
    if (stopped_) return;
  }
  if (!stopped_) Pump();
}

bool Link::ReadOnce() {
  const ssize_t got = recv(source_.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
  if (got < 0) {
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) pipeline_.PushEnd(End::kReset, Clock::now());
    return false;
  }
  if (got == 0) {
    pipeline_.PushEnd(End::kShut, Clock::now());
    return false;
  }
  std::string_view bytes(buffer_.data(), static_cast<size_t>(got));
  traffic_.received += bytes.size();
  const bool more = bytes.size() == buffer_.size();
  if (pipeline_.Bypass() && !writing_) {
    const std::optional<size_t> sent = Send(bytes);
    if (!sent) return false;
    bytes.remove_prefix(*sent);
    if (bytes.empty()) return more;
  }
  const Clock::time_point now = Clock::now();
  pipeline_.Push(bytes, now);
  pipeline_.Run(now);
  return more && (writing_ || Write());
}

void Link::AwaitWritable() {
  writing_ = true;
  destination_.async_wait(tcp::socket::wait_write,
                          [this, held = owner_.Hold()](const boost::system::error_code& error) {
                            writing_ = false;
                            if (!error && !stopped_) Pump();
                          });
}

bool Link::Write() {
  ChunkQueue& output = pipeline_.output();
  while (!output.empty()) {
    const std::string_view bytes = output.front().rest();
    const std::optional<size_t> sent = Send(bytes);
    if (!sent) return false;
    const bool all = *sent == bytes.size();
    if (*sent > 0) output.Consume(*sent);
    if (!all) return false;
  }
  return true;
}

std::optional<size_t> Link::Send(std::string_view bytes) {
  const ssize_t sent = send(destination_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0) {
    traffic_.sent += static_cast<uint64_t>(sent);
    return static_cast<size_t>(sent);
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return 0;
  owner_.Broken();
  return std::nullopt;
}

void Link::AwaitDue() {
  const std::optional<Clock::time_point> due = pipeline_.Due();
  if (due == timer_at_) return;
  timer_at_ = due;
  if (!due) {
    timer_.cancel();
    return;
  }
  timer_.expires_at(*due);
  timer_.async_wait([this, held = owner_.Hold()](const boost::system::error_code& error) {
    if (error || stopped_) return;
    timer_at_.reset();
    Pump();
  });
}

}  // namespace lab::proxy
