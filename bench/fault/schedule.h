#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/fault/fault.h"
#include "bench/labfile/lab.h"
#include "bench/model/trial.h"

namespace lab::bench {

// Applies the faults of one trial at their moments, takes their receipts and heals them; faults asked for while it runs
// go the same way. Each occurrence has a thread of its own, so that a part that does not answer delays nobody else's
// fault. Whatever happens, each fault that was applied is healed: at its time, when asked to, at Stop, or in the
// destructor. Thread-safe from Start on.
class FaultSchedule {
 public:
  struct Options {
    Clock::time_point zero;  // t = 0
    double end_s = 0;        // of the timeline: every fault is healed by then
    std::vector<Phase> phases;
    // The part that a fault acts on, or null; must live as long as the schedule.
    std::function<FaultTarget*(const std::string& part, int replica)> target;
    // Written down before a fault is applied, and after it was seen healed (never when that was given up), for the
    // start after a killed runner.
    std::function<void(const std::string& line)> journal;
    std::function<void(const FaultRecord&)> changed;  // on the fault's thread, or the caller's of Stop
    std::set<std::string> defused;                    // for tests: faults whose Apply does nothing ("redis.pause")
  };
  // `faults` as FaultsOf gives them: offset from the begin of their phase, and length. A fault of a sustained kind
  // without a length ends with its phase.
  FaultSchedule(std::vector<FaultSpec> faults, Options options);
  ~FaultSchedule();

  // Checks that everything in it exists; nothing has happened when this fails.
  absl::Status Check() const;
  void Start();

  // A fault that begins now, while it runs (phase and offset of the spec mean nothing); returns its id,
  // "redis.pause#2". A sustained kind without a length lasts to the end of the timeline. INVALID_ARGUMENT with the
  // nearest right name; RESOURCE_EXHAUSTED when kMaxOpen have not ended; FAILED_PRECONDITION after Stop. Of those that
  // have ended the newest kMaxEnded are remembered.
  absl::StatusOr<std::string> Add(FaultSpec spec);
  static constexpr size_t kMaxOpen = 32;
  static constexpr size_t kMaxEnded = 200;
  // Heals this one, or all that have not ended, at once and with the patience of a planned heal; one that is not
  // applied yet never will be. Does not wait. Returns the ids of those that it heals.
  std::vector<std::string> Heal(const std::string& id);
  std::vector<std::string> HealAll();

  // Heals what is applied, at once, and applies nothing more; whether it heals is looked at for half a second. As a
  // rule that is all; at most 7 s, when a part ends neither by the SIGTERM of a restart (2 s) nor by SIGKILL (2 s, and
  // 2 s again in the heal).
  void Stop();
  std::vector<FaultRecord> records() const;
  bool Done() const;  // every fault has been applied and healed, or given up

 private:
  struct Occurrence;
  std::unique_ptr<Occurrence> Make(FaultSpec spec);
  absl::Status Check(const Occurrence& occurrence) const;
  void Launch(Occurrence& occurrence);
  void ForgetEnded();
  void Run(Occurrence& occurrence);
  void TakeBack(Occurrence& occurrence);
  void Inject(Occurrence& occurrence, Fault& fault);
  void AwaitReceipt(Occurrence& occurrence, Fault& fault);
  void HealAndSee(Occurrence& occurrence, Fault& fault);
  // Whether the moment came; not when it is to stop before, or to heal this one.
  bool WaitUntil(double at_s, const Occurrence* unless_healed = nullptr);
  double Now() const;
  void Change(Occurrence& occurrence, const std::function<void(FaultRecord&)>& change);

  Options options_;
  std::vector<std::unique_ptr<Occurrence>> occurrences_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::map<std::string, int> numbers_;  // fault → occurrences so far
};

}  // namespace lab::bench
