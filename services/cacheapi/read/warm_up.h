#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/origin/origin_queue.h"
#include "services/cacheapi/read/reader.h"
#include "services/cacheapi/read/wanted_keys.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Loads what is wanted most before it is asked for: at the start, and when L2 has come back empty. What that is, the
// requests of this process say; else the list that a process left in Redis lately; what is missing to `keys` are the
// first brands by name. Loads take the way of any read, at most `rate` a second and at most `share` of the origin's
// places at once, and only while nobody waits for the database: users go first.
//
// L2 is empty when the mark that is left there has gone. Of all replicas the one that sets it again warms it up; at its
// start each does, for its own L1. One that has set it and could load nothing, because the database is away, takes
// it away again: whoever looks next tries. On the loop's thread.
//   cacheapi_warmups_total{why=start|empty}, cacheapi_warmup_loads_total{outcome=ok|error}, cacheapi_warmup_left
class WarmUp {
 public:
  struct Options {
    int keys = 0;                           // 0: none at all
    double rate = 200;                      // loads a second
    double share = 0.5;                     // of the origin's places
    Nanos look = std::chrono::seconds(1);   // how often it is looked whether the mark is there
    Nanos save = std::chrono::seconds(10);  // how often the list is left in Redis
  };
  struct Parts {
    async::Loop& loop;
    redis::Client* redis;  // null without L2
    Origin& origin;
    OriginQueue& queue;
    Reader& reader;
    WantedKeys& wanted;
  };

  WarmUp(Parts parts, const Options& options, obs::Metrics& metrics);
  ~WarmUp();
  WarmUp(const WarmUp&) = delete;
  WarmUp& operator=(const WarmUp&) = delete;

  void Start();
  // Whether the first one has come to its end.
  bool done() const { return done_ || options_.keys == 0; }
  bool running() const { return running_; }
  // Looks now whether L2 is empty.
  void Look();

 private:
  enum Why : size_t { kStart, kEmpty };
  void Arm(Nanos wait);
  void Save();
  void Begin(Why why);
  void AddBrands();
  void Pace();
  void LoadNext();
  void End();
  void TakeMarkAway();

  const Parts parts_;
  const Options options_;
  obs::Counter &at_start_, &when_empty_, &loaded_, &failed_;
  obs::Gauge& left_;
  boost::asio::steady_timer timer_, pace_;
  std::vector<WantedKeys::Key> keys_;
  size_t next_ = 0;
  int in_flight_ = 0;
  double may_ = 0;  // loads that the rate allows now
  Clock::time_point saved_{};
  int waits_ = 0;
  bool running_ = false;
  bool marked_ = false;      // the mark is of this run
  bool any_loaded_ = false;  // by this run
  bool done_ = false;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
