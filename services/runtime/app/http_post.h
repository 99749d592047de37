#pragma once

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <functional>
#include <memory>
#include <string>

#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"

namespace lab::app {

// One HTTP/1.1 POST of JSON on a connection of its own: resolve, connect, write, read the status; all of it within
// `deadline`. `done(status, error)` runs once on the loop's thread, with status 0 when no answer came; never after
// Cancel.
class HttpPost : public std::enable_shared_from_this<HttpPost> {
 public:
  using Done = std::function<void(int status, const std::string& error)>;

  HttpPost(async::Loop& loop, std::string host, int port, Done done);
  void Start(std::string_view path, std::string_view body, Clock::time_point deadline);
  // Ends it earlier than Start said.
  void Shorten(Clock::time_point deadline);
  void Cancel();

 private:
  // A name is looked up in a thread of its own that posts the answer: Asio's resolver would post it to the io_context,
  // which does not wake a loop that sleeps in a Source.
  struct Lookup;
  void EndAt(Clock::time_point deadline);
  void Resolve();
  void Connect(const std::vector<boost::asio::ip::tcp::endpoint>& endpoints);
  void Write();
  void Read();
  void Finish(int status, const std::string& error);

  async::Loop& loop_;
  std::string host_;
  int port_;
  Done done_;
  std::string request_;
  std::shared_ptr<Lookup> lookup_;
  std::vector<boost::asio::ip::tcp::endpoint> endpoints_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  boost::beast::http::response_parser<boost::beast::http::string_body> parser_;
  std::string input_;
  std::array<char, 4096> chunk_;
};

}  // namespace lab::app
