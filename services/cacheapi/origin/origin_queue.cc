#include "services/cacheapi/origin/origin_queue.h"

#include <utility>

namespace lab::cacheapi {
namespace {

obs::Counter& Outcome(obs::Metrics& metrics, const char* outcome) {
  return metrics.AddCounter("cacheapi_origin_admissions_total", "Reads that wanted to go to the database",
                            {{"outcome", outcome}});
}

}  // namespace

OriginQueue::Metrics::Metrics(obs::Metrics& m)
    : went(Outcome(m, "went")),
      waited(Outcome(m, "waited")),
      full(Outcome(m, "full")),
      too_late(Outcome(m, "too_late")),
      given_up(Outcome(m, "given_up")),
      waiting(m.AddGauge("cacheapi_origin_queue_waiting", "Reads that wait for their turn at the database")),
      running(m.AddGauge("cacheapi_origin_queue_running", "Reads that the database works on")),
      wait(m.AddHistogram("cacheapi_origin_queue_wait_seconds", "Of reads that had to wait, until their turn",
                          obs::LatencyBuckets())) {}

OriginQueue::OriginQueue(async::Loop& loop, Origin& origin, const Admission::Options& options, obs::Metrics& metrics)
    : loop_(loop), origin_(origin), admission_(options), metrics_(metrics), alive_(std::make_shared<bool>(true)) {}

OriginQueue::~OriginQueue() { *alive_ = false; }

void OriginQueue::Show() {
  metrics_.waiting.Set(admission_.waiting());
  metrics_.running.Set(admission_.running());
}

void OriginQueue::Refuse(Origin::ReadDone done, const char* why) {
  loop_.Post([alive = alive_, done = std::move(done), status = absl::UnavailableError(why)]() mutable {
    if (*alive) done(status);
  });
}

void OriginQueue::Read(std::string_view brand, Window window, Clock::time_point deadline,
                       std::function<bool()> given_up, Origin::ReadDone done) {
  const Clock::time_point now = Clock::now();
  switch (admission_.Arrives(now, deadline)) {
    case Admission::Verdict::kGo:
      metrics_.went.Increment();
      Ask(brand, window, std::move(done));
      break;
    case Admission::Verdict::kWait:
      metrics_.waited.Increment();
      admission_.Waits();
      queue_.push_back({std::string(brand), window, now, std::move(given_up), std::move(done)});
      break;
    case Admission::Verdict::kFull:
      metrics_.full.Increment();
      return Refuse(std::move(done), "too many reads wait for the database");
    case Admission::Verdict::kTooLate:
      metrics_.too_late.Increment();
      return Refuse(std::move(done), "the database is too busy to answer in time");
  }
  Show();
}

void OriginQueue::Ask(std::string_view brand, Window window, Origin::ReadDone done) {
  admission_.Begins();
  origin_.Read(
      brand, window,
      [this, alive = alive_, begin = Clock::now(), done = std::move(done)](absl::StatusOr<Insight> insight) mutable {
        if (!*alive) return;
        admission_.Ends();
        // What was refused at once says nothing of how long a read takes.
        if (insight.ok() || absl::IsDeadlineExceeded(insight.status())) admission_.Took(Clock::now() - begin);
        Pump();
        done(std::move(insight));
      });
}

void OriginQueue::Pump() {
  while (!queue_.empty() && admission_.MayGo()) {
    Waiting next = std::move(queue_.front());
    queue_.pop_front();
    admission_.Leaves();
    if (admission_.options().shed && next.given_up && next.given_up()) {
      metrics_.given_up.Increment();
      Refuse(std::move(next.done), "its turn came too late: nobody waits for it any more");
      continue;
    }
    metrics_.wait.Observe(std::chrono::duration<double>(Clock::now() - next.since).count());
    Ask(next.brand, next.window, std::move(next.done));
  }
  Show();
}

}  // namespace lab::cacheapi
