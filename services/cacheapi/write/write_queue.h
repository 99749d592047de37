#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "services/cacheapi/gate/feed_steps.h"
#include "services/cacheapi/gate/step_gate.h"
#include "services/cacheapi/origin/origin.h"
#include "services/cacheapi/write/apply_change.h"
#include "services/cacheapi/write/teller.h"
#include "services/runtime/async/loop.h"
#include "services/runtime/obs/metrics.h"
#include "services/runtime/redis/client.h"

namespace lab::cacheapi {

// Write-behind: a write is acknowledged when it stands in a queue in Redis (a stream with a consumer group), and
// applied to PostgreSQL later, in batches.
//
// What it gives up: until it is applied no reader sees the write, its author included, also not in the database; its
// version is not known when it is acknowledged, nor whether there is such a brand (what cannot be applied goes to the
// stream "…:refused", newest kMostRefused kept, and is counted). What it gains: one command of Redis to the
// acknowledgement, and one commit for many writes.
//
// Not lost (race 19). The acknowledgement is given when the entry is in the stream, and the stream on the disk: Redis
// must run with appendonly yes and appendfsync always, which this asks for at each new connection and each second;
// otherwise, and before the first answer, every write is refused in plain words. An entry leaves the stream (XACK,
// XDEL) only once its transaction has committed and the cache has been told.
//
// Applied once. By request id, as every write (Origin::WriteAll), however often an entry is taken. So request ids that
// have been applied must be kept for longer than any process sleeps.
//
// In order. One process at a time applies (a turn in Redis, `hold` long, renewed), a batch after the other. Who gets
// the turn anew first takes over what others had taken and not ended (XAUTOCLAIM), oldest first, and entries are given
// only to who has the turn at that moment. One that has lost it without knowing (it was paused) repeats at most its
// last batch: its successor has applied that, or is about to, before anything newer, so that a late repetition changes
// nothing. So writes of a brand are applied in the order in which they were acknowledged. (But for one whose request id
// was given up before by a process that writes at once, origin/request_ids.h: that one comes behind its batch.)
//
// Errors of Append, beside those of redis::Client: UNAVAILABLE not durable, RESOURCE_EXHAUSTED the queue is full.
//   cacheapi_write_queue_depth, cacheapi_write_queue_age_seconds   of the oldest entry; both of all processes
//   cacheapi_write_queue_durable                                   1 when writes are taken
//   cacheapi_write_queue_applied_total, cacheapi_write_queue_refused_total, cacheapi_write_queue_taken_over_total,
//   cacheapi_write_queue_failures_total                            batches that have to be applied again
class WriteQueue {
 public:
  struct Options {
    std::string stream = "cacheapi:writes";
    int most_waiting = 100'000;
    int batch = static_cast<int>(Origin::kMostTogether);
    Nanos poll = Millis(2);  // for new entries; up to `idle` while there are none
    Nanos idle = Millis(20);
    Nanos retry = Millis(1000);  // longest wait after a failure
    Nanos hold = std::chrono::seconds(3);
    bool applies = true;  // false: this process only appends
    std::string actor;    // of the gate, for tests: held before each batch is committed, and nowhere else
  };
  static constexpr int kMostRefused = 1000;
  struct Parts {
    async::Loop& loop;
    redis::Client& redis;
    Origin& origin;
    StepGate* gate;     // null: no steps; else take, commit, those of `apply`, ack (feed_steps.h)
    ApplyChange apply;  // null: somebody else tells the cache (outbox, change data capture)
  };
  WriteQueue(Parts parts, Options options, obs::Metrics& metrics, uint64_t seed);
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // OK: it stands there. DEADLINE_EXCEEDED, ABORTED: it may.
  void Append(const Correction& correction, absl::AnyInvocable<void(absl::Status)> done);
  // OK; FAILED_PRECONDITION: it is known that Redis may forget, and what to set; UNAVAILABLE: not known yet.
  const absl::Status& durable() const { return durable_; }

 private:
  struct Metrics {
    explicit Metrics(obs::Metrics& metrics);
    obs::Gauge &depth, &age, &durable;
    obs::Counter &applied, &refused, &taken_over, &failures;
  };
  struct Entry {
    std::string id;
    Correction correction;
    bool readable = false;
    absl::Status refused;  // by the database, for what it is
  };
  // Once a second, and at each new connection.
  void Tend();
  void AskDurable();
  void AskState();
  void AskTurn();
  // The worker.
  bool HasTurn() const { return Clock::now() < turn_until_; }
  void Work();
  void Take();
  void MakeGroup();
  void Taken(const redis::Reply& entries);
  void Commit();
  using Outcomes = std::vector<absl::StatusOr<uint64_t>>;
  void Committed(const absl::StatusOr<Outcomes>& outcomes);
  void CommitOneByOne(size_t next);
  void Ended(Entry& entry, absl::StatusOr<uint64_t> version);
  void TellCache();
  void Finish();
  void Leave();
  // Held before the step where the watched brand is in the batch; one that dies there begins the batch again.
  void At(Step step, absl::AnyInvocable<void()> then);
  void Failed(const absl::Status& why);
  void Rest(Nanos wait);
  void After(Nanos wait);

  const Parts parts_;
  const Options options_;
  const std::string turn_key_, refused_key_, token_;
  Metrics metrics_;
  const redis::Script append_, done_, take_, hold_, state_;
  absl::Status durable_;
  Clock::time_point turn_until_{};
  uint64_t turn_ = 0;  // how often it was got anew
  bool working_ = false;
  bool rest_taken_over_ = false;  // what others had taken is ended: new ones may be
  FeedSteps steps_;
  std::vector<Entry> batch_;
  std::vector<std::pair<std::string, uint64_t>> changed_;  // brands and versions of the batch
  bool telling_ = false;
  Teller teller_;
  int idle_ = 0, failed_ = 0;  // in a row
  boost::asio::steady_timer timer_, tend_timer_;
  std::shared_ptr<bool> alive_;  // shared with callbacks in flight
};

}  // namespace lab::cacheapi
