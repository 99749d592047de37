#include "services/runtime/http/connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/write.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "services/runtime/base/text.h"
#include "services/runtime/http/message.h"

namespace lab::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

// What a rejected client may still send while it reads the reason; closing at once would reset the connection and take
// the reason away from it (RFC 9112, 9.6).
constexpr Nanos kLingerTime = std::chrono::seconds(1);
constexpr size_t kLingerBytes = 256 << 10;

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, std::shared_ptr<Core> core)
    : socket_(std::move(socket)), timer_(socket_.get_executor()), core_(std::move(core)) {}

void Connection::Serve() {
  SetDeadline(core_->options().header_timeout);
  Read();
}

void Connection::Refuse() {
  keep_alive_ = false;
  Write(TooManyConnections(core_->options().max_connections));
}

void Connection::Drain() {
  if (state_ == State::kIdle || state_ == State::kStreaming || state_ == State::kLingering) Close();
}

void Connection::Close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  sent_ = nullptr;
  if (absl::AnyInvocable<void()> ended = std::exchange(ended_, nullptr)) ended();
  core_->Gone(shared_from_this());
}

void Connection::Next() {
  if (core_->draining()) {
    Linger();
    return;
  }
  state_ = State::kIdle;
  waiting_since_ = Clock::now();
  SetDeadline(core_->options().idle_timeout);
  if (input_.empty()) {
    Read();
  } else {
    Parse();
  }
}

void Connection::Read() {
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const boost::system::error_code& error, size_t bytes) {
                            self->OnRead(error, bytes);
                          });
}

void Connection::OnRead(const boost::system::error_code& error, size_t bytes) {
  if (state_ == State::kClosed) return;
  if (timed_out_) {
    Reject(408, "request timeout", "the request did not arrive in time");
    return;
  }
  if (error) {
    // A client that closes its half in the middle of a request may still read what was wrong.
    if (error == asio::error::eof && state_ == State::kReading) {
      Reject(400, "bad request", "the request ends in the middle");
    } else {
      Close();
    }
    return;
  }
  input_.append(chunk_.data(), bytes);
  Parse();
}

void Connection::Parse() {
  if (state_ == State::kIdle) {
    state_ = State::kReading;
    request_began_ = Clock::now();
    SetDeadline(core_->options().header_timeout);
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(static_cast<uint32_t>(core_->options().max_header_bytes));
    parser_->body_limit(core_->options().max_body_bytes);
    continued_ = false;
  }
  const bool had_header = parser_->is_header_done();
  size_t parsed = 0;
  beast::error_code error;
  while (!error && parsed < input_.size() && !parser_->is_done()) {
    parsed += parser_->put(asio::buffer(input_.data() + parsed, input_.size() - parsed), error);
  }
  input_.erase(0, parsed);
  namespace http = beast::http;
  if (error == http::error::header_limit ||
      (error == http::error::need_more && input_.size() > core_->options().max_header_bytes)) {
    Reject(431, "request header fields too large",
           Concat("the headers are larger than ", core_->options().max_header_bytes, " bytes"));
  } else if (error == http::error::body_limit) {
    Reject(413, "content too large", Concat("the body is larger than ", core_->options().max_body_bytes, " bytes"));
  } else if (error && error != http::error::need_more) {
    Reject(400, "bad request", error.message());
  } else if (parser_->is_done()) {
    Dispatch();
  } else {
    if (parser_->is_header_done() && !had_header) SetDeadline(core_->options().idle_timeout);
    if (SendContinue()) Read();
  }
}

// "Expect: 100-continue" (RFC 9110, 10.1.1): the client waits for this before it sends its body. False when the
// connection is gone.
bool Connection::SendContinue() {
  if (continued_ || !parser_->is_header_done()) return true;
  continued_ = true;
  if (!beast::iequals(parser_->get()[beast::http::field::expect], "100-continue")) return true;
  // 25 bytes into the empty buffer of a socket that has nothing else to send: never waits.
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  boost::system::error_code error;
  asio::write(socket_, asio::buffer(kContinue.data(), kContinue.size()), error);
  if (error) Close();
  return !error;
}

void Connection::Dispatch() {
  auto message = parser_->release();
  parser_.reset();
  Request request;
  request.method = View(message.method_string());
  keep_alive_ = message.keep_alive();
  head_ = request.method == "HEAD";
  if (message.version() >= 11 && message.count(beast::http::field::host) != 1) {
    Reject(400, "bad request", "HTTP/1.1 wants exactly one Host header");
    return;
  }
  std::optional<Target> target = ParseTarget(View(message.target()));
  if (!target) {
    Reject(400, "bad request", "the path of the request cannot be read");
    return;
  }
  request.path = std::move(target->path);
  request.query = std::move(target->query);
  for (const auto& field : message) {
    request.headers.emplace_back(absl::AsciiStrToLower(std::string(View(field.name_string()))), View(field.value()));
  }
  request.body = std::move(message.body());
  request.trace = obs::ParseTraceparent(request.Header("traceparent"));
  state_ = State::kHandling;
  ClearDeadline();
  core_->Dispatch(std::move(request), shared_from_this());
}

void Connection::Answer(const Response& response) {
  if (state_ != State::kHandling) return;
  if (core_->draining()) keep_alive_ = false;
  core_->Answered(response.status, request_began_);
  if (response.stream && !head_) {
    BeginStream(response);
  } else {
    Write(response);
  }
}

void Connection::Reject(int status, std::string_view title, std::string_view detail) {
  keep_alive_ = false;
  head_ = false;
  timed_out_ = false;
  parser_.reset();
  Write(Problem(status, title, detail));
}

void Connection::Write(const Response& response) {
  state_ = State::kWriting;
  SetDeadline(core_->options().idle_timeout);
  output_ = Serialize(response, keep_alive_, head_);
  asio::async_write(
      socket_, asio::buffer(output_),
      [self = shared_from_this()](const boost::system::error_code& error, size_t) { self->OnWritten(error); });
}

void Connection::OnWritten(const boost::system::error_code& error) {
  if (state_ == State::kClosed) return;
  if (error) {
    Close();
  } else if (keep_alive_) {
    Next();
  } else {
    Linger();
  }
}

// Without a length the body ends with the connection (RFC 9112, 6.3).
void Connection::BeginStream(const Response& response) {
  if (core_->draining()) {
    Close();
    return;
  }
  state_ = State::kStreaming;
  keep_alive_ = false;
  waiting_ = Serialize(response, keep_alive_, head_);
  AwaitHangUp();
  SendWaiting();
  response.stream(std::make_shared<Stream>(weak_from_this()));
}

bool Connection::WriteStream(std::string bytes) {
  if (state_ != State::kStreaming) return false;
  if (unsent() + bytes.size() > core_->options().max_stream_bytes) {
    Close();
    return false;
  }
  waiting_ += bytes;
  if (output_.empty()) SendWaiting();
  return true;
}

void Connection::SendWaiting() {
  output_ = std::exchange(waiting_, {});
  SetDeadline(core_->options().idle_timeout);
  asio::async_write(socket_, asio::buffer(output_),
                    [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                      if (self->state_ == State::kClosed) return;
                      self->output_.clear();
                      if (error) {
                        self->Close();
                      } else if (!self->waiting_.empty()) {
                        self->SendWaiting();
                      } else {
                        self->ClearDeadline();  // nothing to say is no fault of the client
                        self->TellSent();
                      }
                    });
}

// The callback may write more, close, or set another one.
void Connection::TellSent() {
  absl::AnyInvocable<void()> sent = std::exchange(sent_, nullptr);
  if (!sent) return;
  sent();
  if (state_ == State::kStreaming && !sent_) sent_ = std::move(sent);
}

// Its end is the only thing that is looked for in what a client sends meanwhile.
void Connection::AwaitHangUp() {
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const boost::system::error_code& error, size_t) {
                            if (self->state_ == State::kClosed) return;
                            if (error) {
                              self->Close();
                            } else {
                              self->AwaitHangUp();
                            }
                          });
}

void Connection::Linger() {
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  state_ = State::kLingering;
  input_.clear();
  SetDeadline(kLingerTime);
  ReadLingering();
}

void Connection::ReadLingering() {
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const boost::system::error_code& error, size_t bytes) {
                            if (self->state_ == State::kClosed) return;
                            self->lingered_bytes_ += bytes;
                            if (error || self->lingered_bytes_ > kLingerBytes) {
                              self->Close();
                            } else {
                              self->ReadLingering();
                            }
                          });
}

void Connection::SetDeadline(Nanos from_now) {
  deadline_ = Clock::now() + from_now;
  if (deadline_ < timer_at_) WaitForDeadline();
}

void Connection::WaitForDeadline() {
  timer_at_ = deadline_;
  if (timer_at_ == Clock::time_point::max()) return;
  timer_.expires_at(timer_at_);
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->state_ != State::kClosed) self->OnDeadline();
  });
}

void Connection::OnDeadline() {
  if (Clock::now() < deadline_) {
    WaitForDeadline();
    return;
  }
  timer_at_ = Clock::time_point::max();
  ClearDeadline();
  if (state_ == State::kReading) {
    // The read under way ends with an error and then answers 408.
    timed_out_ = true;
    boost::system::error_code ignored;
    socket_.cancel(ignored);
  } else if (state_ != State::kHandling) {
    Close();
  }
}

}  // namespace lab::http
