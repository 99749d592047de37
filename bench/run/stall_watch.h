#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "bench/run/evidence.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// Notices when this process as a whole stood still: a thread that does nothing but sleep and look at the clock.
class StallWatch {
 public:
  explicit StallWatch(Clock::time_point zero);
  ~StallWatch();
  // Ends it; the stalls with their beginnings since `zero`, the first 1,000 of them.
  std::vector<Stall> Stop();

 private:
  void Run();

  const Clock::time_point zero_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::vector<Stall> stalls_;
  std::thread thread_;
};

}  // namespace lab::bench
