#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/load/active_load.h"
#include "bench/load/call_pool.h"
#include "bench/load/driver.h"
#include "bench/load/generator.h"
#include "bench/load/live_window.h"
#include "bench/load/poller.h"

namespace lab::bench {

// The loop behind Generator: send what is due, write it, give up on what is overdue, sleep until the next arrival or
// answer. One thread at a time; only Stop and SetRateFactor may be called from
// others. Times are nanoseconds since t = 0 unless they are
// called monotonic.
class Engine : public CallSink {
 public:
  explicit Engine(Generator::Options options);

  absl::Status Connect();
  absl::Status Run();
  void Stop();
  void SetRateFactor(double factor);

  std::vector<Op> TakeOps();
  const std::vector<StreamInfo>& streams() const { return streams_; }
  const Histogram& lag() const { return lag_; }
  uint64_t dropped() const { return dropped_; }
  int64_t started_unix_ns() const { return started_unix_ns_; }

  void Ended(Call& call, Ending ending, int code, std::string_view body, int64_t at) override;

 private:
  absl::Status Prepare();
  absl::StatusOr<ActiveLoad> PrepareOne(const LoadSpec& spec, size_t max_ops) const;
  absl::Status AwaitConnections();
  void Begin();
  int64_t Now() const { return MonotonicNow() - start_; }

  // One turn of the loop.
  void TakeRateFactor(int64_t now);
  void SendDue(int64_t now);
  void SendClosed(ActiveLoad& load, int64_t now);
  void SendOne(ActiveLoad& load, Lane& lane, int64_t intended, uint32_t key, int64_t now);
  std::string_view SpecialRequest(const ActiveLoad& load, const Lane& lane, uint32_t key, const Question& question,
                                  uint64_t number, Call& call) const;
  Reading ReadAnswer(const Call& call, int code, std::string_view body);
  void Flush();
  void Expire(int64_t now);
  void SendAgain(int64_t now);
  void Finish(Call& call);
  void Complete(Call& call, int64_t done, const Reading& reading, int code);
  void ClientIsFree(ActiveLoad& load, uint16_t stream, int64_t at, bool ok);
  void TellSecond(int64_t now);
  void ReopenLinks();
  void Starve(int64_t now);

  int64_t NextWake(int64_t now) const;
  int64_t NextArrival(int64_t now) const;
  void SleepUntil(int64_t wake, int64_t now);
  bool Finished(int64_t now) const;
  size_t in_flight() const;
  void AbandonInFlight(int64_t now);

  const Generator::Options options_;
  Poller poller_;
  std::map<std::string, std::unique_ptr<Driver>> drivers_;  // by target
  std::vector<ActiveLoad> loads_;
  std::vector<StreamInfo> streams_;
  CallPool calls_;
  std::vector<Call*> unstamped_;  // sent in this turn, not yet written
  std::vector<Call*> again_;      // to be sent once more; in no connection and no queue

  int64_t start_ = 0;  // monotonic time of t = 0
  int64_t started_unix_ns_ = 0;
  int64_t end_ = 0;  // of the timeline; INT64_MAX: without end
  int64_t last_possible_end_ = 0;
  int64_t next_send_turn_ = INT64_MIN;
  int64_t next_second_ = 0;
  int64_t slice_begin_ = 0;  // of starving
  LiveWindow window_{0};
  Histogram lag_;
  uint64_t dropped_ = 0;
  size_t ops_ = 0;
  absl::Status status_;
  std::atomic<bool> stop_{false};
  std::atomic<double> rate_factor_{1};
  double taken_factor_ = 1;
  int64_t stop_deadline_ = INT64_MAX;
};

}  // namespace lab::bench
