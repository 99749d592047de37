#pragma once

#include "services/runtime/base/random.h"
#include "services/runtime/base/time.h"

namespace lab::async {

// How long to wait before a store is connected to again: full jitter (Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015) between `min` and a bound that doubles up to `max`.
class Backoff {
 public:
  struct Options {
    Nanos min = Millis(10);
    Nanos max = Millis(250);
  };

  Backoff(Options options, uint64_t seed);
  // After an attempt that failed, or a connection that was lost. `ready_at` is when it stood, zero when it never did: a
  // server that accepts and fails right away is no reason to come back faster.
  Nanos Next(Clock::time_point ready_at, Clock::time_point now);

 private:
  const Options options_;
  Random random_;
  int failed_ = 0;  // attempts in a row
};

}  // namespace lab::async
