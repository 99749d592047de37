#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "services/cacheapi/origin/request_ids.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/base/time.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// Forgets request ids (Idempotency-Keys) that are older than `remember`, a small batch at a time, so that the table of
// writes that were applied is bounded: by what is written in `remember`. A request that is sent again later than that
// is another write. Nothing that may still come may be older: a client that tries again, a process that sleeps with
// writes of the queue in its hand, a statement on its way to a server that is stopped.
//
// Any number of processes may do so. On the loop's thread.
//   cacheapi_requests_forgotten_total, cacheapi_request_prune_failures_total
class RequestPruner {
 public:
  struct Options {
    Nanos remember = std::chrono::hours(24);
    Nanos every = std::chrono::minutes(1);  // between looks that find few
    Nanos pause = Millis(200);              // between full batches: at most batch / pause ids a second
    int batch = 500;
  };
  RequestPruner(async::Loop& loop, RequestIds& ids, const Options& options, obs::Metrics& metrics);
  ~RequestPruner();
  RequestPruner(const RequestPruner&) = delete;
  RequestPruner& operator=(const RequestPruner&) = delete;

  void Start();

 private:
  void After(Nanos wait);
  void Prune();

  RequestIds& ids_;
  const Options options_;
  obs::Counter &forgotten_, &failures_;
  boost::asio::steady_timer timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
