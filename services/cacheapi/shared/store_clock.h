#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "services/cacheapi/shared/entry.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// The clock of the Redis server, as this process knows it: asked by TIME each `every`, and carried on by the steady
// clock in between. So all replicas agree on what is fresh although their own clocks do not. Off by at most half of the
// round trip of the answer it rests on, of which the fastest lately is kept (Cristian, "Probabilistic Clock
// Synchronization", 1989), and by what the clocks drift apart in a minute.
//   cacheapi_clock_error_seconds   that bound
class StoreClock {
 public:
  StoreClock(async::Loop& loop, redis::Client& redis, obs::Metrics& metrics, Nanos every = Millis(1000));
  ~StoreClock();
  StoreClock(const StoreClock&) = delete;
  StoreClock& operator=(const StoreClock&) = delete;

  // Before the first answer: this host's own clock.
  UnixMillis At(Clock::time_point steady) const;
  bool known() const { return known_; }
  // Takes an answer into account: the server's time, and when it was asked and had answered here. A jump of the
  // server's clock beyond both bounds is taken over at once.
  void Take(Micros server_unix, Clock::time_point asked, Clock::time_point answered);

 private:
  void Ask();

  redis::Client& redis_;
  obs::Gauge& error_;
  boost::asio::steady_timer timer_;
  const Nanos every_;
  bool known_ = false;
  Nanos offset_{0};  // the server's Unix time less the steady clock's
  Nanos bound_{0};   // of the offset's error, when it was taken
  Clock::time_point taken_at_{};
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
