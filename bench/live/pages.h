#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <string>

#include "bench/live/server.h"
#include "bench/live/worker.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/http/server.h"

namespace lab::bench::live {

// What the server serves, on the thread of its loop.
class Pages {
 public:
  Pages(Hub& hub, Control* control, Server::Options options);

  absl::Status Start();
  void Run() { loop_.Run(); }  // until Stop
  void Stop();                 // thread-safe; within half a second, so that clients get what was published
  int port() const { return http_.port(); }
  const std::string& token() const { return token_; }

 private:
  struct Client {
    std::shared_ptr<http::Stream> stream;
    uint64_t seen = 0;  // the last event that was written
  };
  using Clients = std::list<Client>;

  // Refuses what does not come from our own page, and adds the headers that every answer has.
  http::Server::Handler Guarded(http::Server::Handler handler) const;
  http::Server::Handler Commanded(std::function<absl::StatusOr<std::string>(const std::string& body)> command);

  void AddClient(const http::Request& request, http::Server::Respond respond);
  uint64_t SeenBy(const http::Request& request, bool& gap) const;
  void WriteTo(Client& client);
  void WriteToAll();
  void AwaitHeartbeat();
  void StopWhenTold(uint64_t last, Clock::time_point deadline);

  Hub& hub_;
  Control* const control_;
  const Server::Options options_;
  const std::string token_, epoch_;
  async::Loop loop_;
  Clients clients_;
  boost::asio::steady_timer heartbeat_;
  http::Server http_;
  std::atomic<bool> woken_{false};  // WriteToAll is posted
  Worker worker_;                   // the first to end: its answers go to the loop
};

}  // namespace lab::bench::live
