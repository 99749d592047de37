#pragma once

#include <atomic>
#include <thread>
#include <vector>

#include "bench/run/evidence.h"
#include "services/runtime/base/time.h"

namespace lab::bench {

// What the host keeps from the parts of a trial: on each core that is ours a thread that does nothing but sleep for a
// millisecond and look how late it runs again. It has real-time priority above the generator's, so that the parts' own
// load does not make it late, but a hypervisor or the kernel that has the core, or a stop of this process. Where
// that priority is refused (it takes root or CAP_SYS_NICE), only waits are told that no load of the parts explains.
// (The idea is that of jHiccup: Gil Tene, github.com/giltene/jHiccup.)
class CoreWatch {
 public:
  explicit CoreWatch(Clock::time_point zero);
  ~CoreWatch();
  // Ends it; the waits of a millisecond and more (20 ms without the priority), with their beginnings since `zero`, in
  // their order. The first 100,000 of each core.
  std::vector<Wait> Stop();

 private:
  void Watch(int core, std::vector<Wait>& waits) const;

  const Clock::time_point zero_;
  std::atomic<bool> stopping_{false};
  std::vector<std::vector<Wait>> waits_;  // of each core; fixed in size before the threads begin
  std::vector<std::thread> threads_;
};

}  // namespace lab::bench
