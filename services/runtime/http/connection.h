#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>

#include "services/runtime/http/core.h"

namespace lab::http {

// One client: reads a request, has it answered, writes the response, and again. One request at a time, so pipelined
// ones are answered in order and a client that does not read slows down nobody but itself. Alive while a callback or
// the core holds it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, std::shared_ptr<Core> core);

  void Serve();
  // One connection too many: says so and closes.
  void Refuse();
  // No further request; closes at once when none is under way.
  void Drain();
  void Close();
  // The answer to the request under way. Ignored when there is none.
  void Answer(const Response& response);

  // Of an answer that goes on; see Stream.
  bool WriteStream(std::string bytes);
  size_t unsent() const { return output_.size() + waiting_.size(); }
  bool streaming() const { return state_ == State::kStreaming; }
  // Whether no complete request of it is waiting for its answer, and since when: the connect or the last answer.
  bool awaits_request() const { return state_ == State::kIdle || state_ == State::kReading; }
  // Whether it has been answered for the last time, and is only given the time to read that.
  bool lingering() const { return state_ == State::kLingering; }
  Clock::time_point waiting_since() const { return waiting_since_; }
  void OnSent(absl::AnyInvocable<void()> callback) { sent_ = std::move(callback); }
  void OnEnd(absl::AnyInvocable<void()> callback) { ended_ = std::move(callback); }

 private:
  enum class State { kIdle, kReading, kHandling, kWriting, kStreaming, kLingering, kClosed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void Next();
  void Read();
  void OnRead(const boost::system::error_code& error, size_t bytes);
  void Parse();
  bool SendContinue();
  void Dispatch();
  // An answer to what is not a request; ends the connection.
  void Reject(int status, std::string_view title, std::string_view detail);
  void Write(const Response& response);
  void OnWritten(const boost::system::error_code& error);
  void BeginStream(const Response& response);
  void SendWaiting();
  void TellSent();
  void AwaitHangUp();
  void Linger();
  void ReadLingering();

  // One timer a connection: it is moved only when the new deadline is earlier, and looks again when it fires too early.
  void SetDeadline(Nanos from_now);
  void ClearDeadline() { deadline_ = Clock::time_point::max(); }
  void WaitForDeadline();
  void OnDeadline();

  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<Core> core_;
  State state_ = State::kIdle;
  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point timer_at_ = Clock::time_point::max();
  bool timed_out_ = false;

  std::optional<Parser> parser_;
  std::string input_;  // read and not parsed yet; bounded by max_header_bytes and one chunk
  std::array<char, 8192> chunk_;
  std::string output_;
  std::string waiting_;  // of a stream: what is sent after output_
  absl::AnyInvocable<void()> sent_, ended_;
  bool keep_alive_ = false;
  bool head_ = false;
  bool continued_ = false;  // 100 Continue was sent
  size_t lingered_bytes_ = 0;
  Clock::time_point request_began_{};
  Clock::time_point waiting_since_ = Clock::now();
};

}  // namespace lab::http
