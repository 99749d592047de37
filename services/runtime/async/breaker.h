#pragma once

#include <cstdint>

#include "services/runtime/base/time.h"

namespace lab::async {

// A circuit breaker in front of a store: closed → open after `failures` failures in a row, or when more than `ratio` of
// `window` calls failed; open → half-open after `open_for`, when single probes pass; half-open → closed after `probes`
// successes in a row, → open at the first failure. Plain decisions: takes `now`, holds no clock, one thread.
// (Nygard, "Release It!", 2nd ed., ch. 5)
//
// Results of calls that were let through before it opened arrive late: they are ignored while it is open, and taken for
// a probe's in half-open, which errs only by one probe.
class Breaker {
 public:
  struct Options {
    int failures = 20;
    double ratio = 0.5;  // of window; 1 turns this rule off
    int window = 100;    // calls, counted in blocks
    Nanos open_for = Millis(250);
    int probes = 2;
  };
  enum class State { kClosed, kOpen, kHalfOpen };

  explicit Breaker(Options options) : options_(options) {}
  // Whether a call may pass now. In half-open one probe at a time passes; one that is never answered for holds the next
  // back for `open_for` only.
  bool Allow(Clock::time_point now);
  void Succeeded(Clock::time_point now);
  void Failed(Clock::time_point now);
  State state() const { return state_; }
  uint64_t opened() const { return opened_; }  // how often it has opened

 private:
  void Open(Clock::time_point now);
  void Close();
  // Counts a call of the window while closed; opens when its block is over and too much of it failed.
  void Count(bool failed, Clock::time_point now);

  Options options_;
  State state_ = State::kClosed;
  int failed_in_row_ = 0;
  int succeeded_in_row_ = 0;
  int window_calls_ = 0;
  int window_failed_ = 0;
  bool probing_ = false;
  Clock::time_point probed_at_{};
  Clock::time_point opened_at_{};
  uint64_t opened_ = 0;
};

}  // namespace lab::async
