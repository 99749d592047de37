#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::redis {

// A connection on which a Redis server tells: of messages on channels (SUBSCRIBE), and of keys that have changed
// (CLIENT TRACKING in broadcasting mode). RESP2 has no place for invalidations among replies, so the connection that
// tracks redirects them to one that subscribes to "__redis__:invalidate"; here both are the same one. In broadcasting
// mode the server tells of every change under a prefix, whoever reads or writes, so no connection that reads need track
// anything, and there is only one whose loss loses invalidations. (Seen on Redis 7.0; documented as two connections in
// "Client-side caching", which says nothing against one.)
//
// What the server tells, and what it does not (seen on 7.0.15):
// - a key that was set, also to the same value, deleted, expired or evicted; not a delete of what is not there;
// - all changes of one turn of the server's loop in one message, a key once;
// - changes in any database of the server, and a flush of any of them as a flush of all;
// - NOLOOP leaves out only what the tracking connection itself has changed, and not by a script.
//
// Connects in the background and goes on trying, as Client does. On the loop's thread.
//   redis_subscriber_connected, redis_subscriber_messages_total, redis_subscriber_reconnects_total
class Subscriber {
 public:
  struct Listener {
    // It stands (again): from here on nothing is missed.
    std::function<void()> on_connected;
    std::function<void(std::string_view channel, std::string_view text)> on_message;
    std::function<void(std::string_view key)> on_changed;
    std::function<void()> on_flushed;  // FLUSHALL or FLUSHDB: every key
    // Told once for each on_connected: from here on anything may have happened.
    std::function<void(const absl::Status& why)> on_lost;
  };

  // Of `server` the address, password, connect_timeout and reconnect bounds are used. Prefixes must not overlap; none:
  // no tracking.
  Subscriber(async::Loop& loop, const Options& server, std::vector<std::string> channels,
             std::vector<std::string> prefixes, Listener listener, obs::Metrics& metrics);
  ~Subscriber();  // as Close
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  bool connected() const;
  // Gives the connection up and makes a new one: whoever listens has reason to doubt it.
  void Reconnect(std::string_view why);
  // Nobody is told of anything any more. May be called from the listener.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  // shared with handlers in flight
};

}  // namespace lab::redis
