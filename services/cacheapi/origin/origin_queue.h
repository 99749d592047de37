#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "services/cacheapi/origin/admission.h"
#include "services/cacheapi/origin/origin.h"
#include "services/runtime/obs/metrics.h"

namespace lab::cacheapi {

// What stands between the reads and the database: admission.h decides who is asked for, who waits and who is refused,
// this does it. On the loop's thread; `done` never runs within Read.
//
// Refusals are UNAVAILABLE, and definite: the database was not asked. There is no retry on this side, and so no retry
// budget: one read asks at most once, and who retries is the client, whose budget it is. What fails is counted by the
// breaker of the pool (pg::Client), which then refuses at once; both are reasons to serve what is stale.
//
// With `shed` off this is the queue that sustains an outage: what has been asked for is done in turn, also for who has
// gone long ago. Together with a client that retries at its time-out and loads that are thrown away with their request
// (request.cancels_fill), a load that stood well before does not get up again.
//   cacheapi_origin_admissions_total{outcome=went|waited|full|too_late|given_up}, cacheapi_origin_queue_waiting,
//   cacheapi_origin_queue_running, cacheapi_origin_queue_wait_seconds
class OriginQueue {
 public:
  OriginQueue(async::Loop& loop, Origin& origin, const Admission::Options& options, obs::Metrics& metrics);
  ~OriginQueue();

  // `given_up` is asked when its turn has come, with `shed` only: whether nobody wants the answer any more.
  void Read(std::string_view brand, Window window, Clock::time_point deadline, std::function<bool()> given_up,
            Origin::ReadDone done);

  // For who loads beside the requests: whether places are free and nobody waits.
  bool idle() const { return admission_.waiting() == 0 && admission_.MayGo(); }
  int concurrency() const { return admission_.options().concurrency; }

 private:
  struct Waiting {
    std::string brand;
    Window window;
    Clock::time_point since;
    std::function<bool()> given_up;
    Origin::ReadDone done;
  };
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Counter &went, &waited, &full, &too_late, &given_up;
    obs::Gauge &waiting, &running;
    obs::Histogram& wait;
  };
  void Refuse(Origin::ReadDone done, const char* why);
  void Ask(std::string_view brand, Window window, Origin::ReadDone done);
  void Pump();
  void Show();

  async::Loop& loop_;
  Origin& origin_;
  Admission admission_;
  Metrics metrics_;
  std::deque<Waiting> queue_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
