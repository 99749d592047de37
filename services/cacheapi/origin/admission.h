#pragma once

#include <cstddef>
#include <cstdint>

#include "services/runtime/base/time.h"

namespace lab::cacheapi {

// Which reads the database is asked for, and when: at most so many at once, the others wait in turn, at most so many.
// Who would wait for longer than it has time is refused at once (`shed`): a queue in which everybody's time runs out
// does all its work for nothing, for as long as it is full. The wait is judged by time, not by length: those ahead,
// times what a read took lately, over what runs at once (Little's law). Plain decision: takes `now`, one thread.
class Admission {
 public:
  struct Options {
    int concurrency = 8;
    int max_waiting = 1024;
    bool shed = true;  // false: first come, first served, however late (what sustains an outage)
  };
  explicit Admission(const Options& options);

  enum class Verdict : uint8_t {
    kGo,  // ask now
    kWait,
    kFull,     // refused: too many wait
    kTooLate,  // refused: its time would be over before its answer
  };
  // Of one that arrives now and whose answer is wanted until `deadline`.
  Verdict Arrives(Clock::time_point now, Clock::time_point deadline) const;
  // One that waits may go.
  bool MayGo() const { return running_ < options_.concurrency; }

  void Waits() { ++waiting_; }
  void Leaves() { --waiting_; }  // goes, or waits no more
  void Begins() { ++running_; }
  void Ends() { --running_; }
  // One was answered after so long; or had no answer for so long.
  void Took(Nanos time);

  int waiting() const { return waiting_; }
  int running() const { return running_; }
  const Options& options() const { return options_; }
  // Until the answer of one that arrives now; zero before any was answered.
  Nanos Expected() const;

 private:
  const Options options_;
  int waiting_ = 0;
  int running_ = 0;
  double mean_ns_ = 0;  // of one read: an exponentially weighted mean over about the last 8
};

}  // namespace lab::cacheapi
