#pragma once

#include <cstdint>

#include "services/runtime/base/time.h"

namespace lab::async {

// A circuit breaker in front of a store: closed → open after `failures` failures in a row, or when the failed share of
// the last `window` calls exceeds `ratio`; open → half-open after `open_for`, when single probes pass; half-open → closed
// after `probes` successes in a row. Plain decisions: takes `now`, holds no clock. (Nygard, "Release It!", 2nd ed., ch. 5)
class Breaker {
 public:
  struct Options {
    int failures = 20;
    Nanos open_for = Millis(250);
    int probes = 2;
  };
  enum class State { kClosed, kOpen, kHalfOpen };

  explicit Breaker(Options options) : options_(options) {}
  // Whether a call may pass now. In half-open one probe at a time passes.
  bool Allow(Clock::time_point now);
  void Succeeded(Clock::time_point now);
  void Failed(Clock::time_point now);
  State state() const { return state_; }
  uint64_t opened() const { return opened_; }  // how often it has opened

 private:
  Options options_;
  State state_ = State::kClosed;
  int failed_in_row_ = 0;
  int succeeded_in_row_ = 0;
  bool probing_ = false;
  Clock::time_point opened_at_{};
  uint64_t opened_ = 0;
};

}  // namespace lab::async
