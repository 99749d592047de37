#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "bench/proxy/pipeline.h"

namespace lab::proxy {

// Bytes of one direction of a proxy, over all its connections.
struct Traffic {
  uint64_t received = 0, sent = 0;
};

// One direction of a connection: reads its source, sends what comes through the pipeline to its destination. Without a
// toxic, bytes go from one socket to the other within one turn of the loop and are not queued. Everything runs on the
// loop's thread; `buffer` is shared by all links of that thread, for nothing stays in it between two events.
class Link {
 public:
  struct Owner {
    virtual ~Owner() = default;
    // Keeps the owner, and with it the link, while an event is awaited.
    virtual std::shared_ptr<void> Hold() = 0;
    // The link has delivered the end of its stream; nothing more comes of it.
    virtual void Delivered(Link& link, End end) = 0;
    // The destination is gone.
    virtual void Broken() = 0;
  };

  Link(boost::asio::ip::tcp::socket& source, boost::asio::ip::tcp::socket& destination, std::span<char> buffer,
       Random& random, Traffic& traffic, Owner& owner);

  Pipeline& pipeline() { return pipeline_; }
  // Goes on with what is due, after whatever changed: begins to read, to write, to wait.
  void Pump();
  // Its source will give nothing more.
  void SourceGone(End end);
  bool delivered() const { return delivered_; }
  void Stop();

 private:
  void AwaitReadable();
  void OnReadable();
  // Reads once; false when there is nothing to read now, or any more.
  bool ReadOnce();
  void AwaitWritable();
  // As much as the destination takes; false when it takes no more now, or is gone.
  bool Write();
  // How many of them it took; nothing when it is gone.
  std::optional<size_t> Send(std::string_view bytes);
  void AwaitDue();

  boost::asio::ip::tcp::socket& source_;
  boost::asio::ip::tcp::socket& destination_;
  const std::span<char> buffer_;
  Traffic& traffic_;
  Owner& owner_;
  Pipeline pipeline_;
  boost::asio::steady_timer timer_;
  std::optional<Clock::time_point> timer_at_;
  bool reading_ = false, writing_ = false, delivered_ = false, stopped_ = false;
};

}  // namespace lab::proxy
